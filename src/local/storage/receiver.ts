import { rmSync, truncateSync } from 'node:fs';
import { never } from '../../core/abort.ts';
import { raceAbort } from '../../core/clock.ts';
import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { repeat } from '../../core/retry.ts';
import { startProcess } from '../../process/process.ts';
import { endChild, endProcess, termThenKill } from '../../process/end.ts';
import { findProcesses } from '../../process/identity.ts';
import { endByPidFile, writePidFile } from '../../process/pid-file.ts';
import { type Socket, type Tools, conninfo } from './tools.ts';
import { type ComputeIdentity, awaitCompute, ensureSlot, slotName, standbyName } from './compute-link.ts';
import type { TimelineDir } from './layout.ts';
import { isComplete, listSegments } from './segments.ts';

export interface ReceiverOptions {
  readonly dir: TimelineDir;
  /** The compute's address; called at each attempt. */
  readonly server: () => Socket;
  /** Directory for its WAL. */
  readonly wal: () => string;
  /** The PG timeline. */
  readonly timeline: () => number;
  readonly tools: Tools;
  readonly walSegmentBytes: number;
  readonly log: Log;
  /** The reason not to receive from this compute; null when it is allowed. */
  readonly refusal: (compute: ComputeIdentity) => string | null;
}

const refusedMs = 250;
const failedMs = 25;

/** Keeps pg_receivewal connected to the compute, until `stop`. */
export class Receiver {
  readonly #options: ReceiverOptions;
  #running: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null;
  #attachment: AbortController | null = null;
  #lastComplaint = '';

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Aborts when the connection to the compute ends; null while there is none. */
  get attached(): AbortSignal | null {
    return this.#attachment?.signal ?? null;
  }

  start(): void {
    if (this.#running !== null) return;
    const abort = new AbortController();
    this.#running = { abort, ended: this.#keepAttached(abort.signal) };
  }

  /** Resolves when pg_receivewal has exited: after that, nothing is written or acknowledged. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    running.abort.abort();
    await running.ended;
    this.#running = null;
  }

  async #keepAttached(signal: AbortSignal): Promise<void> {
    const once = async (): Promise<number> => {
      const compute = await awaitCompute(this.#options.server(), signal);
      const refusal = this.#options.refusal(compute);
      if (refusal !== null) {
        this.#complain(refusal);
        return refusedMs;
      }
      await this.#attach(signal);
      // It exits at once when a broken connection still holds the slot; the server will release it soon.
      return failedMs;
    };
    const failed = (error: unknown): number => {
      this.#complain(explained(error));
      return failedMs;
    };
    await repeat(once, signal, failed);
  }

  async #attach(signal: AbortSignal): Promise<void> {
    const { dir, tools, walSegmentBytes, log } = this.#options;
    const [server, wal] = [this.#options.server(), this.#options.wal()];
    await ensureSlot(server, signal);
    dropUnpadded(wal, walSegmentBytes, this.#options.timeline());
    const said: string[] = [];
    const child = await startProcess({
      command: tools.postgres.sibling('pg_receivewal'),
      args: [
        '-d',
        conninfo(server, standbyName),
        '--no-password',
        '-D',
        wal,
        '--slot',
        slotName,
        '--synchronous',
        '--no-loop',
        // The server ignores its replies while it counts as lagging. Without new WAL, the next reply would come after ten
        // seconds, and commits that wait for it since a takeover would wait that long.
        '--status-interval=1',
      ],
      env: tools.env,
      cwd: '/',
      stdout: 'ignore',
      onStderrLine: (line) => said.push(line),
    });
    const attachment = new AbortController();
    try {
      writePidFile(dir.receiverPid, child.pid);
      this.#attachment = attachment;
      this.#lastComplaint = '';
      log.info({ pid: child.pid }, 'receiving WAL from the compute');
      const exit = await raceAbort(child.closed, signal);
      log.info(
        { code: exit.code, signal: exit.signal, said: said.slice(-3).join('; ') },
        'pg_receivewal exited',
      );
    } finally {
      this.#attachment = null;
      attachment.abort();
      await endChild(child, termThenKill(1000), never);
      rmSync(dir.receiverPid, { force: true });
    }
  }

  /** Logs a reason once, not at every attempt. */
  #complain(text: string): void {
    if (text === this.#lastComplaint) return;
    this.#lastComplaint = text;
    this.#options.log.warn(`not receiving WAL: ${text}`);
  }
}

/** Removes a segment that is too short: after a crash while pg_receivewal filled it with zeros. It contains no WAL yet,
 *  and pg_receivewal would fail on it at every start. */
function dropUnpadded(walDir: string, segmentBytes: number, timeline: number): void {
  const last = listSegments(walDir, segmentBytes, timeline).at(-1);
  if (last?.partial === true && !isComplete(last, segmentBytes)) truncateSync(last.path, 0);
}

/** Stops a pg_receivewal that still runs after its storage has ended, so that only one writes to the directory. */
export async function endOrphans(dir: TimelineDir, signal: AbortSignal): Promise<void> {
  await endByPidFile(dir.receiverPid, 'pg_receivewal of an earlier run', 1000, signal);
  const ours = (line: string): boolean =>
    /^\S*pg_receivewal /.test(line) &&
    [` -D ${dir.wal} `, ` -D ${dir.wal}-`].some((argument) => ` ${line} `.includes(argument));
  for (const orphan of findProcesses(ours))
    await endProcess(orphan, 'an orphaned pg_receivewal', termThenKill(1000), signal);
}
