import { closeSync, readSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { lockInside } from '../postgres/lock.ts';
import { isMarked } from '../postgres/marker.ts';
import { entryOf, openDirectory } from '../process/dir-fd.ts';
import { openRegular } from '../process/regular-file.ts';
import { entriesThatCount } from './entries.ts';
import type { LocalDir } from './state.ts';

/** Whose data directory it is. `former`: of this database, left by a version that wrote no marker. */
export type PgdataOwner = 'nobody' | 'ours' | 'former' | 'foreign';

/** The system identifier in `global/pg_control`: its first eight bytes, in the byte order of the machine. Null when there is
 *  none.
 *  @param dir a descriptor of a data directory
 *  @see https://www.postgresql.org/docs/current/storage-file-layout.html */
export function systemIdIn(dir: number): string | null {
  let fd: number;
  try {
    fd = openRegular(entryOf(dir, 'global/pg_control'));
  } catch {
    return null;
  }
  try {
    const bytes = new BigUint64Array(1);
    return readSync(fd, bytes, 0, 8, 0) === 8 ? String(bytes[0]) : null;
  } finally {
    closeSync(fd);
  }
}

/** @param systemId of the database in the storage; null when there is none yet */
export function ownerOfPgdata(pgdata: string, systemId: string | null): PgdataOwner {
  let dir: number;
  try {
    dir = openDirectory(pgdata);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'nobody' : 'foreign';
  }
  try {
    if (entriesThatCount(dir).every(({ name }) => name === lockInside)) return 'nobody';
    if (isMarked(dir)) return 'ours';
    return systemId !== null && systemIdIn(dir) === systemId ? 'former' : 'foreign';
  } finally {
    closeSync(dir);
  }
}

/** @throws ComputeError `dir_refused` when somebody else's data is in the place of the data directory */
export function refuseForeignPgdata({ pgdata }: LocalDir, systemId: string | null): void {
  if (ownerOfPgdata(pgdata, systemId) !== 'foreign') return;
  throw new ComputeError(
    'dir_refused',
    `${pgdata} is not empty, and neither its marker nor its system identifier says that compute-local created it`,
    { hint: 'every start would wipe it: move it to another place, then start again' },
  );
}
