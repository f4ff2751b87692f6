import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { raceAbort, withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { poll } from '../core/poll.ts';
import { awakeWord, leasePath } from './front/leases.ts';
import { readPhase, serves } from './phase.ts';
import { type LocalDir, commandFor, stateOf } from './state.ts';

/** The front lets a client wait for 60 seconds at most. */
const limitMs = 65_000;
const lookMs = 20;

/** Wakes a compute that sleeps, as a client does, waits until it is ready, and keeps it awake for as long as `work` takes: for what
 *  reaches Postgres or compute_ctl past the front. Where nothing sleeps, or it does not run, there is only `work`.
 *  @param who the words of the command, for `status`
 *  @throws ComputeError `conflict`, `deadline` with the front's reason; what `work` throws */
export async function whileAwake<T>(
  dir: LocalDir,
  who: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const lease = await take(dir, who, signal);
  try {
    return await work();
  } finally {
    lease?.destroy();
  }
}

/** Wakes it, and leaves it to others to use it. @throws as `whileAwake` */
export const wake = (dir: LocalDir, signal: AbortSignal): Promise<void> =>
  whileAwake(dir, 'wake', signal, () => Promise.resolve());

async function take(dir: LocalDir, who: string, signal: AbortSignal): Promise<Socket | null> {
  const sleeps = (): boolean => ['asleep', 'waking'].includes(readPhase(dir.upPid)?.phase ?? '');
  const phase = readPhase(dir.upPid)?.phase ?? null;
  if (phase === null || !serves(phase) || stateOf(dir).front !== true) return null;
  const socket = connect(leasePath(dir.run));
  try {
    await withDeadline('the start of Postgres', limitMs, signal, (limited) =>
      awake(dir, socket, who, limited),
    );
    // Clients are served before the start is complete.
    await poll(() => (sleeps() ? null : true), { everyMs: lookMs, limitMs }, signal);
    // It may end before its holder does.
    return socket.on('error', () => {});
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function awake(dir: LocalDir, socket: Socket, who: string, signal: AbortSignal): Promise<void> {
  const hint = `see: ${commandFor(dir, 'status')}; an up of an earlier version must be started again`;
  try {
    await once(socket, 'connect', { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new ComputeError('conflict', 'the compute-local up that runs does not answer', { cause, hint });
  }
  socket.write(`${who}\n`);
  const said = await raceAbort(firstLine(socket), signal);
  if (said !== awakeWord)
    throw new ComputeError('conflict', `Postgres was not started: ${said === '' ? 'up has ended' : said}`, {
      hint,
    });
}

/** What was said, up to the end of the line or of the connection. */
function firstLine(socket: Socket): Promise<string> {
  let said = '';
  return new Promise((resolve) => {
    const over = (): void => resolve(said.trim());
    socket.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('\n')) over();
    });
    socket.once('close', over);
  });
}
