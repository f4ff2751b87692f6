import { body, sql } from '../../core/sql.ts';
import { repair, needsInspection } from '../database-state.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip } = itemsOf('schema-permissions');

/** In each database of the spec: gives `public` to the database's owner if the superuser owns it (PostgreSQL 14), and
 *  lets the privileged role use objects that extensions create there as superuser.
 *
 *  A session is opened only if the database is new or the shared catalogs do not show that this is done. */
export const schemaPermissions: Phase = {
  name: 'schema-permissions',
  plan: (input, observed) =>
    input.spec.cluster.databases.flatMap(({ name, owner }): PlanItem[] => {
      const database = observed.databases.get(name);
      if (database === undefined) return [];
      if (!database.connectable) return [skip(databaseObject(name), 'it accepts no connections', true)];
      const state = observed.states.get(name);
      const due =
        state === undefined
          ? needsInspection(input, observed, database)
          : Object.values(state).includes(true);
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
