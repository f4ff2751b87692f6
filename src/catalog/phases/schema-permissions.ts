import { body, sql } from '../../core/sql.ts';
import { mend, needsLook } from '../inside.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip } = itemsOf('schema-permissions');

/** Inside each database of the spec: `public` belongs to the database's owner where it belonged to the superuser
 *  (PostgreSQL 14), and what extensions create there as superuser stays usable for the privileged role.
 *
 *  A database is only visited when it is new or when the shared catalogs do not show that this was done. */
export const schemaPermissions: Phase = {
  name: 'schema-permissions',
  plan: (input, observed) =>
    input.spec.cluster.databases.flatMap(({ name, owner }): PlanItem[] => {
      const database = observed.databases.get(name);
      if (database === undefined) return [];
      if (!database.connectable) return [skip(databaseObject(name), 'it accepts no connections', true)];
      const inside = observed.inside.get(name);
      const due =
        inside === undefined ? needsLook(input, observed, database) : Object.values(inside).includes(true);
      if (!due) return [];
      return [
        unit(
          'visit',
          'set privileges of schema public',
          databaseObject(name),
          [sql`do ${body(mend(input, observed, owner))}`],
          name,
        ),
      ];
    }),
};
