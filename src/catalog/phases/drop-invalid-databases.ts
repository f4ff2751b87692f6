import { ident, sql } from '../../core/sql.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase } from '../phase.ts';

const { unit } = itemsOf('drop-invalid-databases');

/** What an interrupted `DROP DATABASE` left: nobody can use it, and it blocks its name. One that the spec lists is
 *  made again, empty. */
export const dropInvalidDatabases: Phase = {
  name: 'drop-invalid-databases',
  plan: (_, { databases }) =>
    [...databases]
      .filter(([, { invalid }]) => invalid)
      .map(([name]) =>
        unit('bare', 'drop invalid', databaseObject(name), [sql`drop database if exists ${ident(name)}`]),
      ),
  foresee: (_, observed) => ({
    ...observed,
    databases: new Map([...observed.databases].filter(([, { invalid }]) => !invalid)),
  }),
};
