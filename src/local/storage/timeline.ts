import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { Queue } from '../../core/queue.ts';
import { fsyncPath } from '../../process/files.ts';
import { KeptBases, type KeptOptions } from './kept-bases.ts';
import type { Socket, Tools } from './tools.ts';
import type { Snapshot } from './archive.ts';
import { Fence } from './fence.ts';
import { forkPoint } from './fork.ts';
import { type Base, type TimelineDir, currentBase, removeUnfinished, walDir } from './layout.ts';
import { Leases } from './leases.ts';
import { missingWalOf } from './ranges.ts';
import { Receiver } from './receiver.ts';
import { refusalOf } from './refusal.ts';
import { readWhole, sizeOf } from './segment-files.ts';
import { type Segment, firstSegmentOf, listSegments, segmentsFrom, settled } from './segments.ts';
import type { Troubles } from './troubles.ts';
import { WalEnd } from './wal-end.ts';

export interface TimelineOptions {
  readonly dir: TimelineDir;
  /** The compute that writes. */
  readonly server: Socket;
  readonly tools: Tools;
  readonly log: Log;
  readonly troubles: Troubles;
  /** Bytes of WAL before the base backup that are kept for standbys that have not read it yet. */
  readonly keptForStandbys?: () => number;
  /** What is kept beside the current base backup and its WAL. */
  readonly history?: KeptOptions['history'];
}

const noHistory = { keep: null, diskIsLow: false };

/** How long a base backup waits for an LSN that has not been received yet. */
const arrivalMs = 30_000;

/** One Neon timeline: its base backup, the WAL received since, and the compute that writes to it. */
export class Timeline {
  readonly dir: TimelineDir;
  readonly receiver: Receiver;
  readonly leases: Leases;
  readonly kept: KeptBases;
  readonly #fence: Fence;
  #base: Base;
  #walEnd: WalEnd;
  #knownEnd: Lsn;
  #server: Socket;
  #readers = 0;
  readonly #handovers = new Queue(1);

  /** @throws ComputeError `local_storage` when there is no base backup */
  constructor({
    dir,
    server,
    tools,
    log,
    troubles,
    keptForStandbys = () => 0,
    history = () => noHistory,
  }: TimelineOptions) {
    const base = currentBase(dir);
    if (base === null) throw new ComputeError('local_storage', `there is no base backup in ${dir.root}`);
    this.dir = dir;
    this.#base = base;
    this.#walEnd = walEndOf(dir, base);
    this.#knownEnd = base.stopLsn;
    this.#server = server;
    this.#fence = new Fence(dir);
    this.leases = new Leases(dir);
    this.receiver = new Receiver({
      dir,
      server: () => this.#server,
      wal: () => this.#walDir,
      timeline: () => this.#base.timeline,
      tools,
      log,
      troubles,
      walSegmentBytes: base.walSegmentBytes,
      refusal: (compute) =>
        refusalOf(compute, {
          systemId: this.#base.systemId,
          generation: this.#fence.generation,
          end: () => this.end(),
        }),
    });
    removeUnfinished(dir);
    this.kept = new KeptBases({ dir, leases: this.leases, history, keptForStandbys }, base);
  }

  get base(): Base {
    return this.#base;
  }

  get generation(): number {
    return this.#fence.generation;
  }

  /** Fences all earlier computes. @returns the number of the compute that may write from now on */
  nextGeneration(): number {
    return this.#fence.next();
  }

  /** The compute that writes. */
  get server(): Socket {
    return this.#server;
  }

  set server(server: Socket) {
    this.#server = server;
  }

  /** The end of the last whole record received. */
  end(): Lsn {
    return this.#walEnd.find() ?? this.#base.stopLsn;
  }

  /** The same; while its files cannot be read, what was last known. */
  knownEnd(): Lsn {
    try {
      this.#knownEnd = this.end();
    } catch {
      // The watch tells why.
    }
    return this.#knownEnd;
  }

  /** Bytes of WAL that a start must replay. */
  walBytes(): number {
    return Number(this.knownEnd() - this.#base.startLsn);
  }

  /** The parts of the answer to a base backup request; `release` it when it has been sent.
   *  @param primary true: the compute that is created from it becomes the only writer; all others are fenced first
   *  @param lsn must have been received; `0n` for the latest
   *  @throws ComputeError `not_found` with what can be restored, for an LSN that is not stored */
  async snapshot(
    primary: boolean,
    lsn: Lsn,
    signal: AbortSignal,
  ): Promise<{ snapshot: Snapshot; release: () => void }> {
    await this.#arrived(lsn, signal);
    if (!primary) {
      if (lsn === 0n) return this.#read(null, this.#base);
      const { base } = forkPoint(this.dir, { lsn });
      return this.#read(null, base, Math.floor((Number(lsn) - 1) / base.walSegmentBytes));
    }
    return this.handOver(async () => this.#read(this.#fence.next(), this.#base), signal);
  }

  /** Runs work that changes the writer: one at a time, while no WAL is received or acknowledged. */
  handOver<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#handovers.add(async () => {
      await this.receiver.stop();
      try {
        return await work();
      } finally {
        this.receiver.start();
      }
    }, signal);
  }

  /** Makes a finished base backup the current one. Files for the old one alone are removed when they are no longer read. */
  useNewBase(): void {
    this.#base = currentBase(this.dir) ?? this.#base;
    this.#walEnd = walEndOf(this.dir, this.#base);
    this.removeObsolete();
  }

  /** Removes old base backups and the WAL before them, unless they are being read or are to be kept. */
  removeObsolete(): void {
    if (this.#readers === 0) this.kept.removeOthers(this.#base);
  }

  /** Which WAL a start requires that is not there; null when it is complete.
   *  @throws the system's error when its directory cannot be read */
  missingWal(): string | null {
    return missingWalOf(this.dir, this.#base);
  }

  /** Bytes on disk. */
  storedBytes(): { readonly base: number; readonly wal: number } {
    const wal = this.#segments().reduce((sum, { path }) => sum + sizeOf(path), 0);
    return { base: sizeOf(this.#base.file), wal };
  }

  /** Checks that the WAL is complete from the segment before `lsn`. */
  syncFrom(lsn: Lsn): void {
    const first = Math.floor(Number(lsn) / this.#base.walSegmentBytes) - 1;
    for (const segment of this.#segments()) if (segment.number >= first) fsyncPath(settled(segment).path);
  }

  get #walDir(): string {
    return walDir(this.dir, this.#base.timeline);
  }

  #segments(): Segment[] {
    return listSegments(this.#walDir, this.#base.walSegmentBytes, this.#base.timeline);
  }

  /** @param until the number of the last segment that is needed */
  #read(
    generation: number | null,
    base: Base,
    until = Infinity,
  ): { snapshot: Snapshot; release: () => void } {
    const { walSegmentBytes, timeline } = base;
    const wal = walDir(this.dir, timeline);
    const segments = segmentsFrom(wal, walSegmentBytes, firstSegmentOf(base), timeline, until);
    const last = segments?.at(-1);
    if (segments === null || last === undefined)
      throw new ComputeError('local_storage', missingWalOf(this.dir, base) ?? `there is no WAL in ${wal}`);
    const partial = last.partial ? readWhole(last, walSegmentBytes) : null;
    this.#readers++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#readers--;
      this.removeObsolete();
    };
    return { snapshot: { base, segments, partial, generation }, release };
  }

  async #arrived(lsn: Lsn, signal: AbortSignal): Promise<void> {
    if (lsn === 0n) return;
    if (lsn < this.kept.oldest.stopLsn) {
      throw new ComputeError(
        'not_found',
        `invalid basebackup lsn: ${formatLsn(lsn)} is older than the base backup, which ends at ${formatLsn(this.kept.oldest.stopLsn)}`,
      );
    }
    const arrived = (): true | null => (this.end() < lsn ? null : true);
    if ((await poll(arrived, { everyMs: 20, limitMs: arrivalMs }, signal)) === null) {
      throw new ComputeError(
        'not_found',
        `LSN ${formatLsn(lsn)} did not arrive within ${arrivalMs} ms: the timeline ends at ${formatLsn(this.end())}`,
      );
    }
  }
}

const walEndOf = (dir: TimelineDir, base: Base): WalEnd =>
  new WalEnd(walDir(dir, base.timeline), base.walSegmentBytes, base.startLsn, base.timeline);
