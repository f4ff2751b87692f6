import { ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase } from '../phase.ts';

const { unit, skip } = itemsOf('drop-roles');

/** Drops the roles that delta operations delete, when nothing refers to them any more. */
export const dropRoles: Phase = {
  name: 'drop-roles',
  plan: (input, observed) =>
    [...droppedRoles(input, observed)].map((name) =>
      observed.roles.has(name)
        ? unit('batch', 'drop', roleObject(name), [sql`drop role ${ident(name)}`])
        : skip(roleObject(name), 'there is no such role to delete'),
    ),
};
