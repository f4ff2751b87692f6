import { rmSync } from 'node:fs';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { Queue } from '../../core/queue.ts';
import { fsyncPath } from '../../process/files.ts';
import type { Socket, Tools } from './tools.ts';
import type { Snapshot } from './archive.ts';
import { Fence } from './fence.ts';
import {
  type Base,
  type TimelineDir,
  currentBase,
  removeFormerWal,
  removeOtherBases,
  removeUnfinished,
  walDir,
} from './layout.ts';
import { Leases } from './leases.ts';
import { Receiver } from './receiver.ts';
import { refusalOf } from './refusal.ts';
import { nowAt, readWhole, sizeOf } from './segment-files.ts';
import { type Segment, firstMissing, listSegments, segmentName, segmentsFrom } from './segments.ts';
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
}

/** How long a base backup waits for an LSN that has not been received yet. */
const arrivalMs = 30_000;

/** One Neon timeline: its base backup, the WAL received since, and the compute that writes to it. */
export class Timeline {
  readonly dir: TimelineDir;
  readonly receiver: Receiver;
  readonly leases: Leases;
  readonly #fence: Fence;
  #base: Base;
  #walEnd: WalEnd;
  #knownEnd: Lsn;
  readonly #keptForStandbys: () => number;
  #server: Socket;
  #readers = 0;
  readonly #handovers = new Queue(1);

  /** @throws ComputeError `local_storage` when there is no base backup */
  constructor({ dir, server, tools, log, troubles, keptForStandbys = () => 0 }: TimelineOptions) {
    const base = currentBase(dir);
    if (base === null) throw new ComputeError('local_storage', `there is no base backup in ${dir.root}`);
    this.dir = dir;
    this.#base = base;
    this.#walEnd = walEndOf(dir, base);
    this.#knownEnd = base.stopLsn;
    this.#server = server;
    this.#keptForStandbys = keptForStandbys;
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
    removeFormerWal(dir, base);
    this.#removeObsolete();
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
   *  @throws ComputeError `not_found` for an LSN that is not stored */
  async snapshot(
    primary: boolean,
    lsn: Lsn,
    signal: AbortSignal,
  ): Promise<{ snapshot: Snapshot; release: () => void }> {
    await this.#arrived(lsn, signal);
    if (!primary) return this.#read(null);
    return this.handOver(async () => this.#read(this.#fence.next()), signal);
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
    this.#removeObsolete();
  }

  /** Removes old base backups and the WAL before the current one, unless they are being read. */
  #removeObsolete(): void {
    if (this.#readers > 0) return;
    removeOtherBases(this.dir, this.#base);
    const first = this.#firstSegment() - this.#keptForStandbys() / this.#base.walSegmentBytes;
    const old = this.#segments().filter((segment) => segment.number < first);
    for (const segment of old) rmSync(segment.path);
    if (old.length > 0) fsyncPath(this.#walDir);
  }

  /** Which WAL a start requires that is not there; null when it is complete.
   *  @throws the system's error when its directory cannot be read */
  missingWal(): string | null {
    const { walSegmentBytes, timeline } = this.#base;
    const first = this.#firstSegment();
    if (segmentsFrom(this.#walDir, walSegmentBytes, first, timeline)?.length) return null;
    const missing = segmentName(firstMissing(this.#segments(), first), walSegmentBytes, timeline);
    return `the WAL in ${this.#walDir} has a gap: ${missing} is missing or incomplete`;
  }

  /** Bytes on disk. */
  storedBytes(): { readonly base: number; readonly wal: number } {
    const wal = this.#segments().reduce((sum, { path }) => sum + sizeOf(path), 0);
    return { base: sizeOf(this.#base.file), wal };
  }

  /** Checks that the WAL is complete from the segment before `lsn`. */
  syncFrom(lsn: Lsn): void {
    const first = Math.floor(Number(lsn) / this.#base.walSegmentBytes) - 1;
    for (const segment of this.#segments()) if (segment.number >= first) fsyncPath(nowAt(segment));
  }

  get #walDir(): string {
    return walDir(this.dir, this.#base.timeline);
  }

  #firstSegment(): number {
    return Math.floor(Number(this.#base.startLsn) / this.#base.walSegmentBytes);
  }

  #segments(): Segment[] {
    return listSegments(this.#walDir, this.#base.walSegmentBytes, this.#base.timeline);
  }

  #read(generation: number | null): { snapshot: Snapshot; release: () => void } {
    const { walSegmentBytes, timeline } = this.#base;
    const first = this.#firstSegment();
    const segments = segmentsFrom(this.#walDir, walSegmentBytes, first, timeline);
    const last = segments?.at(-1);
    if (segments === null || last === undefined)
      throw new ComputeError('local_storage', this.missingWal() ?? `there is no WAL in ${this.#walDir}`);
    const partial = last.partial ? readWhole(last, walSegmentBytes) : null;
    this.#readers++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#readers--;
      this.#removeObsolete();
    };
    return { snapshot: { base: this.#base, segments, partial, generation }, release };
  }

  async #arrived(lsn: Lsn, signal: AbortSignal): Promise<void> {
    if (lsn === 0n) return;
    if (lsn < this.#base.stopLsn) {
      throw new ComputeError(
        'not_found',
        `invalid basebackup lsn: ${formatLsn(lsn)} is older than the base backup, which ends at ${formatLsn(this.#base.stopLsn)}`,
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
