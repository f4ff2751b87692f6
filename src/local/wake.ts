import { sleep } from '../core/clock.ts';
import { poll } from '../core/poll.ts';
import { Secret } from '../core/secret.ts';
import { type PgClient, withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import { readPhase, serves } from './phase.ts';
import { type LocalDir, stateOf } from './state.ts';

/** A client of the front waits for 60 seconds at most. */
const limitMs = 65_000;
const lookMs = 20;
/** How soon it is noticed that the session has ended. */
const againMs = 1000;

/** Wakes a compute that sleeps, as a client does, and waits until it is ready: for what reaches Postgres or compute_ctl without the
 *  front. One that is awake has been used then. Does nothing while it does not run, and where nothing sleeps.
 *  @throws ComputeError `sql` with the front's reason */
export async function wake(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const sleeps = (): boolean => ['asleep', 'waking'].includes(readPhase(dir.upPid)?.phase ?? '');
  const phase = readPhase(dir.upPid)?.phase ?? null;
  if (phase === null || !serves(phase)) return;
  if (stateOf(dir).front !== true) return;
  await throughFront(dir, stateOf(dir).database, signal, (pg) => pg.query('select'));
  // Clients are served before the start is complete.
  await poll(async () => (sleeps() ? null : true), { everyMs: lookMs, limitMs }, signal);
}

/** Keeps a compute awake while `work` goes on: what reaches Postgres without the front is nobody's use of it. */
export async function whileAwake<T>(dir: LocalDir, work: () => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const kept = keepAwake(dir, stop.signal);
  try {
    return await work();
  } finally {
    stop.abort();
    await kept;
  }
}

/** By a session in a transaction, which holds nothing. Not in `app`, since databases may be copied from that. */
async function keepAwake(dir: LocalDir, signal: AbortSignal): Promise<void> {
  if (readPhase(dir.upPid) === null || stateOf(dir).front !== true) return;
  while (!signal.aborted) {
    await throughFront(dir, 'postgres', signal, async (pg) => {
      await pg.query('begin');
      for (;;) {
        await sleep(againMs, signal);
        await pg.query('select');
      }
      // It ends with a restart of Postgres, and at the end of the work.
    }).catch(() => {});
    await sleep(lookMs, signal).catch(() => {});
  }
}

/** On a connection as any client has it. */
function throughFront<T>(
  dir: LocalDir,
  database: string,
  signal: AbortSignal,
  work: (pg: PgClient) => Promise<T>,
): Promise<T> {
  const { user, password, ports } = stateOf(dir);
  const target = { host: '127.0.0.1', port: ports.postgres, user, password: new Secret(password), database };
  const session = { applicationName: 'compute-local', connectMs: limitMs, queryMs: limitMs, signal };
  return withPg(ownSession({ ...target, options: '' }, {}, { superuser: false }), session, work);
}
