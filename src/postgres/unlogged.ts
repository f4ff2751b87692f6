import { closeSync, readSync, readdirSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { openRegular } from '../process/regular-file.ts';

/** Of an unlogged relation. Beside the file with its content is another one with what it is when it is empty, which PostgreSQL puts
 *  in its place after each recovery.
 *  @see https://www.postgresql.org/docs/current/storage-init.html */
export interface Unlogged {
  /** Relative to the data directory. */
  readonly name: string;
  readonly path: string;
  readonly initPath: string;
}

/** Those of one database, in a data directory.
 *  @throws the system's error */
export function unloggedOf(pgdata: string, database: string): Unlogged[] {
  const directory = join(pgdata, 'base', database);
  return readdirSync(directory).flatMap((file) => {
    const number = /^(\d+)_init$/.exec(file)?.[1];
    if (number === undefined) return [];
    const name = `base/${database}/${number}`;
    return [{ name, path: join(directory, number), initPath: join(directory, file) }];
  });
}

/** The names of their directories. @throws the system's error */
export const databasesOf = (pgdata: string): string[] => readdirSync(join(pgdata, 'base'));

const pageBytes = 8192;
const specialAt = 16;
/** Of the end of a page of a sequence. */
const magic = 0x1717;

/** Whether a file is that of a sequence: PostgreSQL has unlogged ones since 15.
 *  @throws the system's error
 *  @see src/include/storage/bufpage.h and src/backend/commands/sequence.c of PostgreSQL */
export function isSequence(path: string): boolean {
  const page = Buffer.alloc(pageBytes);
  const fd = openRegular(path);
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
