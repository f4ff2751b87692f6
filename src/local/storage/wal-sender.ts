import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicMs, sleep } from '../../core/clock.ts';
import { type Lsn, formatLsn, parseLsn } from '../../core/lsn.ts';
import { message } from '../../wire/messages.ts';
import { WireError, type WireSession } from '../../wire/server.ts';
import { walDir } from './layout.ts';
import { segmentName } from './segments.ts';
import type { Timeline } from './timeline.ts';
import { openRegular, readSmall } from '../../process/regular-file.ts';

const lookMs = 20;
/** The standby takes a connection for dead after a minute without a message. */
const keepaliveMs = 10_000;
const chunkBytes = 128 * 1024;
/** Microseconds between 1970 and 2000, where PostgreSQL's clock begins. */
const epochMicros = 946_684_800_000_000n;

const startPattern =
  /^START_REPLICATION\s+(?:SLOT\s+\S+\s+)?(?:PHYSICAL\s+)?([0-9A-F]+\/[0-9A-F]+)(?:\s+TIMELINE\s+(\d+))?\s*;?$/i;
const historyPattern = /^TIMELINE_HISTORY\s+(\d+)\s*;?$/i;

/** The commands by which a standby gets its WAL. It gets the stored WAL up to the end of the last complete record, and so
 *  never WAL that could be lost with the primary.
 *  @returns false for any other command
 *  @see https://www.postgresql.org/docs/current/protocol-replication.html */
export async function answerReplication(
  session: WireSession,
  timeline: Timeline,
  text: string,
): Promise<boolean> {
  const command = text.trim();
  const start = startPattern.exec(command);
  const history = historyPattern.exec(command);
  if (start !== null) await stream(session, timeline, parseLsn(start[1] ?? '') as Lsn, Number(start[2] ?? 1));
  else if (history !== null) await sendHistory(session, timeline, Number(history[1]));
  else if (/^IDENTIFY_SYSTEM\s*;?$/i.test(command)) await identifySystem(session, timeline);
  else return false;
  return true;
}

async function identifySystem(session: WireSession, timeline: Timeline): Promise<void> {
  const { base } = timeline;
  const row = [base.systemId, String(base.timeline), formatLsn(timeline.end()), null];
  await session.rows(['systemid', 'timeline', 'xlogpos', 'dbname'], [row], 'IDENTIFY_SYSTEM');
}

async function sendHistory(session: WireSession, { dir }: Timeline, number: number): Promise<void> {
  const file = `${number.toString(16).toUpperCase().padStart(8, '0')}.history`;
  let content: string;
  try {
    content = readSmall(join(walDir(dir, number), file));
  } catch {
    throw new WireError('58P01', `the file ${file} does not exist`);
  }
  await session.rows(['filename', 'content'], [[file, content]], 'TIMELINE_HISTORY');
}

/** Sends until the client disconnects, or a newer PG timeline is being written: then the standby finds that one in the
 *  archive. */
async function stream(session: WireSession, timeline: Timeline, from: Lsn, number: number): Promise<void> {
  const current = (): void => {
    const { base } = timeline;
    if (base.timeline !== number)
      throw new WireError('55000', `PG timeline ${number} has ended: ${base.timeline} is being written`);
  };
  current();
  if (from > timeline.end())
    throw new WireError(
      '55000',
      `${formatLsn(from)} is ahead of the stored WAL, which ends at ${formatLsn(timeline.end())}`,
    );
  await session.send(message('W', Buffer.from([0, 0, 0])));
  let heardMs = monotonicMs();
  for (let at = from; ;) {
    const end = timeline.end();
    current();
    if (end > at) {
      const piece = readWal(timeline, at, end);
      await session.copyData(walData(at, end, piece));
      at = (at + BigInt(piece.length)) as Lsn;
      heardMs = monotonicMs();
      continue;
    }
    if (monotonicMs() - heardMs > keepaliveMs) {
      await session.copyData(keepalive(end));
      heardMs = monotonicMs();
    }
    await sleep(lookMs, session.signal);
  }
}

/** Up to one message of WAL, not beyond the end of a segment.
 *  @throws WireError when the segment is gone: the archive does not have it either */
function readWal({ dir, base }: Timeline, at: Lsn, end: Lsn): Buffer {
  const segment = Math.floor(Number(at) / base.walSegmentBytes);
  const offset = Number(at) % base.walSegmentBytes;
  const bytes = Math.min(Number(end - at), chunkBytes, base.walSegmentBytes - offset);
  const path = join(walDir(dir, base.timeline), segmentName(segment, base.walSegmentBytes, base.timeline));
  const fd = openAny([path, `${path}.partial`, path]);
  if (fd === null) throw new WireError('58P01', `requested WAL segment ${path} has already been removed`);
  try {
    const piece = Buffer.allocUnsafe(bytes);
    return piece.subarray(0, readSync(fd, piece, 0, bytes, offset));
  } finally {
    closeSync(fd);
  }
}

/** The receiver may rename the last segment at any moment. */
function openAny(paths: readonly string[]): number | null {
  for (const path of paths) {
    try {
      return openRegular(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return null;
}

const nowMicros = (): bigint => BigInt(Date.now()) * 1000n - epochMicros;

function walData(at: Lsn, end: Lsn, piece: Buffer): Buffer {
  const head = Buffer.alloc(25);
  head.write('w', 0, 'latin1');
  head.writeBigUInt64BE(at, 1);
  head.writeBigUInt64BE(end, 9);
  head.writeBigInt64BE(nowMicros(), 17);
  return Buffer.concat([head, piece]);
}

/** It does not ask for a reply. */
function keepalive(end: Lsn): Buffer {
  const body = Buffer.alloc(18);
  body.write('k', 0, 'latin1');
  body.writeBigUInt64BE(end, 1);
  body.writeBigInt64BE(nowMicros(), 9);
  return body;
}
