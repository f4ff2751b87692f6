import { ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
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
          })
        : skip(roleObject(name), 'there is no such role to delete'),
    ),
};
