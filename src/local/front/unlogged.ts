import { statSync } from 'node:fs';
import { databasesOf, isSequence, unloggedOf } from '../../postgres/unlogged.ts';

/** Only some are named. */
const most = 3;

/** Unlogged tables that hold something, which the next start would not have: it is made from base backup and WAL. And unlogged
 *  sequences (PostgreSQL 15 and later), which would begin anew.
 *  @returns the files of some of them, relative to the data directory
 *  @throws the system's error */
export function unloggedIn(pgdata: string): string[] {
  const found: string[] = [];
  const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  for (const database of databasesOf(pgdata)) {
    for (const { name, path, initPath } of unloggedOf(pgdata, database)) {
      if (size(path) > size(initPath) || isSequence(initPath)) found.push(name);
      if (found.length === most) return found;
    }
  }
  return found;
}
