import { statSync } from 'node:fs';
import { join } from 'node:path';
import { databasesOf, isSequence, unloggedOf } from '../postgres/unlogged.ts';

/** The clock may have been set since the start began, a little. */
const marginMs = 60_000;

/** Unlogged sequences that no session can use (`bad magic number in sequence`), as PostgreSQL 15 to 18 leaves them when it has replayed
 *  their creation: it copies the file with their first value before the replay has written that. The end of the recovery has written it
 *  since, so that another recovery, which takes no time, repairs them. Never throws.
 *  @param sinceMs when the recovery began, in milliseconds since 1970
 *  @returns their files, relative to the data directory */
export function brokenSequences(pgdata: string, sinceMs: number): string[] {
  return (orNot(() => databasesOf(pgdata)) || []).flatMap((database) => {
    // Where the recovery has created or copied no file there is none; with many databases, looking into all takes long.
    const isChanged = orNot(() => statSync(join(pgdata, 'base', database)).mtimeMs >= sinceMs - marginMs);
    const all = isChanged ? orNot(() => unloggedOf(pgdata, database)) || [] : [];
    return all
      .filter(({ initPath, path }) => orNot(() => isSequence(initPath) && !isSequence(path)))
      .map(({ name }) => name);
  });
}

/** What is dropped meanwhile, or cannot be read, is not repaired. */
function orNot<T>(look: () => T): T | false {
  try {
    return look();
  } catch {
    return false;
  }
}
