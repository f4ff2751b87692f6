import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';

/** Only some are named. */
const most = 3;

/** Files of unlogged tables that hold something, which the next start would not have: it is made from base backup and WAL. Such a
 *  table has a file for what it is when it is empty, beside the one with its rows. And of unlogged sequences (PostgreSQL 15 and later),
 *  whatever their value: where the next start replays their creation, `nextval` fails with "bad magic number", since PostgreSQL
 *  copies the second file before the replay has written it.
 *  @returns some of them, relative to the data directory
 *  @throws the system's error
 *  @see https://www.postgresql.org/docs/current/storage-init.html */
export function unloggedIn(pgdata: string): string[] {
  const found: string[] = [];
  for (const database of readdirSync(join(pgdata, 'base'))) {
    for (const name of readdirSync(join(pgdata, 'base', database))) {
      const [, number] = /^(\d+)_init$/.exec(name) ?? [];
      if (number === undefined) continue;
      const path = (file: string): string => join(pgdata, 'base', database, file);
      const size = (file: string): number => statSync(path(file), { throwIfNoEntry: false })?.size ?? 0;
      if (size(number) > size(name) || isSequence(path(name))) found.push(`base/${database}/${number}`);
      if (found.length === most) return found;
    }
  }
  return found;
}

const pageBytes = 8192;
const specialAt = 16;
/** Of the end of a page of a sequence. */
const magic = 0x1717;

/** @see src/include/storage/bufpage.h and src/backend/commands/sequence.c of PostgreSQL */
function isSequence(path: string): boolean {
  const page = Buffer.alloc(pageBytes);
  const fd = openSync(path, 'r');
  try {
    if (readSync(fd, page, 0, pageBytes, 0) < pageBytes) return false;
  } finally {
    closeSync(fd);
  }
  const isBig = endianness() === 'BE';
  const special = isBig ? page.readUInt16BE(specialAt) : page.readUInt16LE(specialAt);
  if (special > pageBytes - 4) return false;
  return (isBig ? page.readUInt32BE(special) : page.readUInt32LE(special)) === magic;
}
