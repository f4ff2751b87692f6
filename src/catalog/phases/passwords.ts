import { ident, literal, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import { isScram, storedPassword } from '../password.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase } from '../phase.ts';

const { unit } = itemsOf('passwords');

/** Sets the passwords that differ from the server's. A role that is not in the spec keeps its password; a role that is in
 *  the spec without a password loses it.
 *
 *  Separate from the creation of roles, because the server takes milliseconds for every SCRAM verifier: this can use
 *  several connections, while members can only be added to one role in one transaction after the other. */
export const passwords: Phase = {
  name: 'passwords',
  plan(input, observed) {
    const dropped = droppedRoles(input, observed);
    const units = input.spec.cluster.roles.flatMap((role) => {
      const wanted = storedPassword(role.encrypted_password);
      const held = observed.roles.get(role.name)?.password ?? null;
      const same = wanted === null || held === null ? wanted === held : wanted.equals(held);
      if (same || dropped.has(role.name)) return [];
      const value = wanted === null ? sql`null` : literal(wanted);
      const statement = sql`alter role ${ident(role.name)} password ${value}`;
      const mode = wanted !== null && isScram(wanted) ? 'hash' : 'batch';
      return [
        unit(mode, wanted === null ? 'remove password' : 'set password', roleObject(role.name), [statement]),
      ];
    });
    // Sorted by mode, so that each kind is sent in as few messages as possible.
    return [...units.filter(({ mode }) => mode === 'batch'), ...units.filter(({ mode }) => mode === 'hash')];
  },
};
