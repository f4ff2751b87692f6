import { ident, nameFault, sql } from '../../core/sql.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase } from '../phase.ts';

const { unit, skip } = itemsOf('drop-invalid-databases');

/** Drops invalid databases, the rest of an interrupted `DROP DATABASE`: they cannot be used and block their names. One
 *  that is in the spec is created again, empty. */
export const dropInvalidDatabases: Phase = {
  name: 'drop-invalid-databases',
  plan: (_, { databases }) =>
    [...databases]
      .filter(([, { invalid }]) => invalid)
      .map(([name]) =>
        nameFault(name) !== null
          ? skip(databaseObject(name), 'it is invalid, but its name is not UTF-8', true)
          : unit(
              'bare',
              'drop invalid',
              databaseObject(name),
              [sql`drop database if exists ${ident(name)}`],
              null,
              { concerns: name },
            ),
      ),
  foresee: (_, observed) => ({
    ...observed,
    databases: new Map([...observed.databases].filter(([, { invalid }]) => !invalid)),
  }),
};
