import { ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { Observed } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase } from '../phase.ts';

const { unit, skip } = itemsOf('drop-roles');

/** Drops the roles that delta operations delete, when nothing refers to them any more. A role that is still referred to in
 *  a database that failed has to stay until that database is done. */
export const dropRoles: Phase = {
  name: 'drop-roles',
  plan: (input, observed) =>
    [...droppedRoles(input, observed)].map((name) =>
      observed.roles.has(name)
        ? unit('batch', 'drop', roleObject(name), [sql`drop role ${ident(name)}`], null, {
            requires: [{ phase: 'delete-role-references', object: roleObject(name) }],
            concerns: closedTo(name, observed),
          })
        : skip(roleObject(name), 'there is no such role to delete'),
    ),
};

/** A database in which nothing can be done about what refers to the role: then that is why it cannot be dropped. */
const closedTo = (name: string, { references, databases }: Observed): string | null =>
  references.get(name)?.find((place) => databases.get(place ?? '')?.connectable === false) ?? null;
