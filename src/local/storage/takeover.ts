import { existsSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../core/clock.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn, parseLsn } from '../../core/lsn.ts';
import { repeat } from '../../core/retry.ts';
import { literal, sql } from '../../core/sql.ts';
import { fsyncPath, ownDir, writeDurable } from '../../process/files.ts';
import type { Socket, Tools } from './tools.ts';
import { takeBaseWithWal } from './base-with-wal.ts';
import { finishBase } from './compaction.ts';
import { giveReceiverSomething, identify, isReady, slotName, withCompute } from './compute-link.ts';
import { generationFile } from './files.ts';
import { removeFilesSync } from '../../process/made.ts';
import { nextNumber, removeWal, walDir } from './layout.ts';
import { madeBase } from './made.ts';
import { listSegments, segmentName } from './segments.ts';
import type { Timeline } from './timeline.ts';
import type { Troubles } from './troubles.ts';
import { firstCommitUntil } from './wal-point.ts';
import { readRegular, readSmall } from '../../process/regular-file.ts';

/** A replica on this storage, which may be promoted at any time. */
export interface Candidate {
  /** Null: the main compute. */
  readonly name: string | null;
  readonly server: Socket;
  readonly pgdata: string;
}

export interface TakeoverOptions {
  readonly timeline: Timeline;
  readonly tools: Tools;
  /** Called at each check. */
  readonly candidates: () => readonly Candidate[];
  /** Stores which compute writes, so that a restart of the storage knows it. */
  readonly onTaken: (candidate: Candidate) => void;
  readonly log: Log;
  readonly troubles: Troubles;
}

const lookMs = 100;
/** The same without a replica: one that comes is not promoted in its first second. */
const aloneMs = 1000;
const retryMs = 2000;
const receiverMs = 2000;

/** Waits for promotions and makes the promoted replica the writer, until `signal` aborts. Never rejects. */
export async function watchPromotions(options: TakeoverOptions, signal: AbortSignal): Promise<void> {
  const look = async (): Promise<number> => {
    const all = options.candidates();
    await sleep(all.length === 0 ? aloneMs : lookMs, signal);
    const others = options.candidates().filter((candidate) => !writes(candidate, options.timeline));
    for (const candidate of others.filter(looksPromoted)) {
      await takeOver(options, candidate, signal);
    }
    options.troubles.works('takeover');
    return 0;
  };
  const failed = (error: unknown): number => {
    options.troubles.failedWith('takeover', error);
    return retryMs;
  };
  await repeat(look, signal, failed);
}

const writes = ({ server }: Candidate, { server: now, receiver }: Timeline): boolean =>
  server.dir === now.dir && server.port === now.port && receiver.attached !== null;

/** PostgreSQL removes the file when it was promoted; a connection at every check would cost too much. */
const looksPromoted = ({ pgdata, server }: Candidate): boolean =>
  existsSync(join(pgdata, 'PG_VERSION')) && !existsSync(join(pgdata, 'standby.signal')) && isReady(server);

/** Makes the promoted replica the writer. PostgreSQL has begun a new PG timeline, and a crash recovery from the current
 *  base backup would not follow it; so a new base backup is taken first. Until that is on disk, no commit on the new PG
 *  timeline is acknowledged, and after any failure the old base backup and its WAL are still complete.
 *  @throws ComputeError `conflict` when the storage has commits of the former primary that the replica does not have */
async function takeOver(
  { timeline, tools, onTaken, log }: TakeoverOptions,
  candidate: Candidate,
  signal: AbortSignal,
): Promise<void> {
  const { server, pgdata, name } = candidate;
  const compute = await identify(server, signal);
  // Still in recovery, shutting down, or a starting server that has not written its signal file yet.
  if (compute === null || compute.flushLsn === null || compute.systemId !== timeline.base.systemId) return;
  const number = await timelineOf(server, signal);
  if (number <= timeline.base.timeline) return;
  await timeline.handOver(async () => {
    const began = beginOf(pgdata, number);
    const stored = timeline.end();
    if (began < stored) {
      throw new ComputeError(
        'conflict',
        `${name ?? 'the main compute'} was promoted at ${formatLsn(began)}, but the storage has commits up to ${formatLsn(stored)}`,
        { hint: 'restart that replica: it then follows the primary as before' },
      );
    }
    log.info({ name, timeline: number, lsn: formatLsn(began) }, 'a replica was promoted: taking over');
    const generation = timeline.nextGeneration();
    writeDurable(join(pgdata, generationFile), `${generation}\n`);
    await newBase({ timeline, tools, candidate, number, began }, signal);
    timeline.server = server;
    onTaken(candidate);
    log.info({ name, base: timeline.base.number, generation }, 'the promoted replica is the primary');
  }, signal);
  await giveReceiverSomething(server, receiverMs, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    log.warn(`commits on the new primary may wait a second longer: ${explained(error)}`);
  });
}

interface NewTimeline extends Pick<TakeoverOptions, 'timeline' | 'tools'> {
  readonly candidate: Candidate;
  /** The PG timeline. */
  readonly number: number;
  readonly began: Lsn;
}

async function newBase(
  { timeline, tools, candidate: { server, pgdata }, number, began }: NewTimeline,
  signal: AbortSignal,
): Promise<void> {
  const { dir, base } = timeline;
  const wal = walDir(dir, number);
  removeWal(wal);
  ownDir(wal, 0o700);
  const fresh = join(dir.bases, `takeover-${number}.new`);
  try {
    await prepareSlot(server, signal);
    const { walSegmentBytes } = base;
    const taken = await takeBaseWithWal(
      { tools, server, fresh, walDir: wal, walSegmentBytes, timeline: number, slot: true, onBytes: () => {} },
      signal,
    );
    const first = Math.floor(Number(began) / walSegmentBytes);
    copyBeginning(join(pgdata, 'pg_wal'), wal, first, walSegmentBytes, number);
    for (const file of readdirSync(wal)) fsyncPath(join(wal, file));
    for (const path of [wal, dir.root]) fsyncPath(path);
    const stored = { dir: wal, segmentBytes: walSegmentBytes, timeline: number, start: began };
    const firstCommitMs = firstCommitUntil(stored, taken.stopLsn);
    const { promotion: _, ...facts } = base;
    finishBase(dir, fresh, nextNumber(dir), {
      ...{ ...facts, ...taken, timeline: number },
      ...(firstCommitMs === undefined
        ? {}
        : { promotion: { from: base.timeline, lsn: began, firstCommitMs } }),
    });
    timeline.useNewBase();
  } finally {
    removeFilesSync(fresh, madeBase);
  }
}

/** The new PG timeline's WAL from its beginning to the base backup. A start does not require it, but replicas do. */
function copyBeginning(from: string, wal: string, first: number, segmentBytes: number, number: number): void {
  const received = listSegments(wal, segmentBytes, number)[0]?.number ?? first;
  for (let at = first; at < received; at++) {
    const name = segmentName(at, segmentBytes, number);
    // Without it, a standby that lags must be restarted.
    if (!existsSync(join(from, name))) return;
    writeFileSync(join(wal, name), readRegular(join(from, name), segmentBytes), { flag: 'wx', mode: 0o600 });
  }
}

/** A slot begins at the last checkpoint, which must be on the new PG timeline. An earlier attempt's slot may be before it. */
const prepareSlot = (server: Socket, signal: AbortSignal): Promise<void> =>
  withCompute(server, signal, async (pg) => {
    await pg.query('checkpoint');
    await pg.query(
      sql`select pg_catalog.pg_drop_replication_slot(slot_name)
         from pg_catalog.pg_replication_slots where slot_name = ${literal(slotName)}`.reveal(),
    );
    const name = literal(slotName);
    await pg.query(sql`select pg_catalog.pg_create_physical_replication_slot(${name}, true)`.reveal());
  });

/** The PG timeline that a primary writes. */
const timelineOf = (server: Socket, signal: AbortSignal): Promise<number> =>
  withCompute(server, signal, async (pg) => {
    const { rows } = await pg.query<{ file: string }>(
      'select pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) as file',
    );
    return Number.parseInt((rows[0]?.file ?? '').slice(0, 8), 16);
  });

/** Where a PG timeline branched off, from the last line of its history file.
 *  @throws ComputeError `local_storage` */
function beginOf(pgdata: string, number: number): Lsn {
  const file = `${number.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const text = readSmall(join(pgdata, 'pg_wal', file));
  const last = text.split('\n').findLast((line) => /^\d+\s/.test(line));
  const lsn = parseLsn(last?.split(/\s+/)[1] ?? '');
  if (lsn === null)
    throw new ComputeError('local_storage', `${file} does not have the LSN where the PG timeline began`);
  return lsn;
}
