import { closeSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { Lsn } from '../core/lsn.ts';
import { openRegular } from '../process/regular-file.ts';

/** `DB_SHUTDOWNED` of a server that was stopped cleanly. */
const shutDown = 1;
/** `DB_SHUTDOWNED_IN_RECOVERY`, by a restartpoint. */
const shutDownInRecovery = 2;
const stateAt = 16;
const checkpointAt = 32;

/** Where a server that was stopped cleanly has begun its last checkpoint: all WAL of its sessions is before it. Null after a
 *  crash, and when it cannot be read: then nobody knows where the WAL ends.
 *  @see src/include/catalog/pg_control.h of PostgreSQL: these fields are in the same place in 14 to 18 */
export async function shutdownCheckpoint(pgdata: string): Promise<Lsn | null> {
  try {
    const file = await open(join(pgdata, 'global/pg_control'));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(40), 0, 40, 0);
      if (bytesRead < 40 || read32(buffer, stateAt) !== shutDown) return null;
      return read64(buffer, checkpointAt) as Lsn;
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

export interface RestartPoint {
  readonly systemId: string;
  /** Where the checkpoint record begins from which the next start replays. */
  readonly checkpoint: Lsn;
}

/** Of a server that was stopped cleanly in recovery: every page is as it was at that checkpoint. Null in every other state, and when
 *  the file cannot be read.
 *  @param path of `pg_control` */
export function restartPointIn(path: string): RestartPoint | null {
  let fd: number;
  try {
    fd = openRegular(path);
  } catch {
    return null;
  }
  try {
    const buffer = Buffer.alloc(40);
    if (readSync(fd, buffer, 0, 40, 0) < 40 || read32(buffer, stateAt) !== shutDownInRecovery) return null;
    return { systemId: String(read64(buffer, 0)), checkpoint: read64(buffer, checkpointAt) as Lsn };
  } finally {
    closeSync(fd);
  }
}

// In the byte order of the machine; the architectures that Node supports are little-endian, but one.
const big = endianness() === 'BE';
const read32 = (from: Buffer, at: number): number => (big ? from.readUInt32BE(at) : from.readUInt32LE(at));
const read64 = (from: Buffer, at: number): bigint =>
  big ? from.readBigUInt64BE(at) : from.readBigUInt64LE(at);
