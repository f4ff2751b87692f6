import { rmSync, truncateSync } from 'node:fs';
import { never } from '../../core/abort.ts';
import { alarm, monotonicMs, raceAbort } from '../../core/clock.ts';
import { inline } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Pauses, backoffMs, repeat } from '../../core/retry.ts';
import { startProcess } from '../../process/process.ts';
import { endChild, endProcess, termThenKill } from '../../process/end.ts';
import { findProcesses } from '../../process/identity.ts';
import { ownDir } from '../../process/files.ts';
import { endByPidFile, writePidFile } from '../../process/pid-file.ts';
import { type Socket, type Tools, conninfo } from './tools.ts';
import { type ComputeIdentity, awaitCompute, ensureSlot, slotName, standbyName } from './compute-link.ts';
import type { TimelineDir } from './layout.ts';
import { isComplete, listSegments } from './segments.ts';
import { type TroubleKind, kindOf } from './trouble-kinds.ts';
import type { Troubles } from './troubles.ts';

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
  readonly troubles: Troubles;
  /** The reason not to receive from this compute; null when it is allowed. */
  readonly refusal: (compute: ComputeIdentity) => string | null;
}

const refusedMs = 250;
/** Short at first: it exits at once when a broken connection still holds the slot, which the server will release soon. */
const pauses: Pauses = { firstMs: 25, maxMs: 2000 };
/** A receiver that was attached this long works. */
const steadyMs = 3000;
/** What may pass by itself is a trouble only when it lasts: a compute that starts or shuts down is none. */
const patienceMs = 2000;
/** Of its messages, the last ones. */
const keptLines = 3;

/** Keeps pg_receivewal connected to the compute, until `stop`. */
export class Receiver {
  readonly #options: ReceiverOptions;
  #running: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null;
  #attachment: AbortController | null = null;
  #lastRefusal = '';
  /** Attempts that failed since a receiver was last attached for a while, and when the first of them did. */
  #failures = 0;
  #failingSinceMs = 0;
  /** Of the compute of the latest attempt. */
  #generation: number | null = null;

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
      // What failed with an earlier compute says nothing about this one, which must not wait for a pause.
      if (compute.generation !== this.#generation) this.#failures = 0;
      this.#generation = compute.generation;
      const refusal = this.#options.refusal(compute);
      if (refusal !== null) return this.#refused(refusal);
      const said = await this.#attach(signal);
      return this.#failed(kindOf(said), said);
    };
    await repeat(once, signal, (error) => this.#failed(kindOf(error), inline(error)));
  }

  /** @returns why the receiver ended */
  async #attach(signal: AbortSignal): Promise<string> {
    const { dir, tools, walSegmentBytes, log } = this.#options;
    const [server, wal] = [this.#options.server(), this.#options.wal()];
    await ensureSlot(server, signal);
    // Also when somebody has removed it: new commits need not wait for whoever puts it back.
    ownDir(wal, 0o700);
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
      onStderrLine: (line) => void said.splice(0, Math.max(0, said.push(line) - keptLines)),
    });
    const attachment = new AbortController();
    const cancel = alarm(steadyMs, () => this.#works());
    try {
      writePidFile(dir.receiverPid, child.pid);
      this.#attachment = attachment;
      this.#lastRefusal = '';
      const first = this.#failures === 0;
      if (first) log.info({ pid: child.pid }, 'receiving WAL from the compute');
      const exit = await raceAbort(child.closed, signal);
      const words = said.join('; ');
      if (first || this.#failures === 0)
        log.info({ code: exit.code, signal: exit.signal, said: words }, 'pg_receivewal exited');
      const how = exit.code === null ? `signal ${exit.signal}` : `exit code ${exit.code}`;
      return `pg_receivewal ended (${how})${words === '' ? '' : `: ${words}`}`;
    } finally {
      cancel();
      this.#attachment = null;
      attachment.abort();
      await endChild(child, termThenKill(1000), never);
      rmSync(dir.receiverPid, { force: true });
    }
  }

  #works(): void {
    this.#failures = 0;
    this.#options.troubles.works('receiver');
  }

  /** @returns the milliseconds until the next attempt */
  #failed(kind: TroubleKind, reason: string): number {
    if (this.#failures++ === 0) this.#failingSinceMs = monotonicMs();
    const passing = kind === 'other' || kind === 'missing' || kind === 'refused';
    if (!passing || monotonicMs() - this.#failingSinceMs > patienceMs)
      this.#options.troubles.failed('receiver', kind, reason);
    return kind === 'refused' ? refusedMs : backoffMs(this.#failures, pauses);
  }

  #refused(refusal: string): number {
    // Also when it is only for a moment, which is no trouble: whoever looks for the end of a compute finds it.
    if (refusal !== this.#lastRefusal) this.#options.log.warn(`not receiving WAL: ${refusal}`);
    this.#lastRefusal = refusal;
    return this.#failed('refused', refusal);
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
