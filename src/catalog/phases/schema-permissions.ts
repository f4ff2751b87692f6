import { body, sql } from '../../core/sql.ts';
import { repair, needsInspection } from '../database-state.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip, note } = itemsOf('schema-permissions');

const onlyItsOwner = 'it is the system database: only its owner follows the spec, nothing inside it changes';

/** In each database of the spec except the system database: gives `public` to the database's owner if the superuser owns
 *  it, as in a new database of PostgreSQL 14, and lets the privileged role use objects that extensions create there as superuser.
 *
 *  A session is opened only if the database is new or the shared catalogs do not show that this is done. */
export const schemaPermissions: Phase = {
  name: 'schema-permissions',
  plan: (input, observed) =>
    input.spec.cluster.databases.flatMap(({ name, owner }): PlanItem[] => {
      const database = observed.databases.get(name);
      if (database === undefined) return [];
      if (name === input.systemDatabase) return [note(databaseObject(name), onlyItsOwner)];
      if (!database.connectable) return [skip(databaseObject(name), 'it accepts no connections', true)];
      const state = observed.states.get(name);
      const due =
        state === undefined
          ? needsInspection(input, observed, { name, owner })
          : Object.values(state).includes(true);
      if (!due) return [];
      return [
        unit(
          'session',
          'set privileges of schema public',
          databaseObject(name),
          [sql`do ${body(repair(input, observed))}`],
          name,
        ),
      ];
    }),
};
