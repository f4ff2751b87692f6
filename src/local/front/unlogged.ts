import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Only some are named. */
const most = 3;

/** Files of unlogged tables that hold something, which the next start would not have: it is made from base backup and WAL. Such a
 *  table has a file for what it is when it is empty, beside the one with its rows.
 *  @returns some of them, relative to the data directory
 *  @throws the system's error
 *  @see https://www.postgresql.org/docs/current/storage-init.html */
export function unloggedIn(pgdata: string): string[] {
  const found: string[] = [];
  for (const database of readdirSync(join(pgdata, 'base'))) {
    for (const name of readdirSync(join(pgdata, 'base', database))) {
      const [, number] = /^(\d+)_init$/.exec(name) ?? [];
      if (number === undefined) continue;
      const size = (file: string): number =>
        statSync(join(pgdata, 'base', database, file), { throwIfNoEntry: false })?.size ?? 0;
      if (size(number) > size(name)) found.push(`base/${database}/${number}`);
      if (found.length === most) return found;
    }
  }
  return found;
}
