import { body, sql } from '../../core/sql.ts';
import { repair, needsInspection } from '../database-state.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip, note } = itemsOf('schema-permissions');

const onlyItsOwner =
  'it is the system database: its owner follows the spec, privileges inside it are left as they are';

/** Inside each database of the spec, other than the system database, where compute_ctl itself works: `public` belongs to the database's owner where it belonged to the superuser
 *  (PostgreSQL 14), and what extensions create there as superuser stays usable for the privileged role.
 *
 *  A session is only opened when the database it is new or when the shared catalogs do not show that this was done. */
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
        state === undefined ? needsInspection(input, observed, name) : Object.values(state).includes(true);
      if (!due) return [];
      return [
        unit(
          'session',
          'set privileges of schema public',
          databaseObject(name),
          [sql`do ${body(repair(input, observed, owner))}`],
          name,
        ),
      ];
    }),
};
