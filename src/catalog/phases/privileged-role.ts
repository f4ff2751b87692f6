import { checked, ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import type { Observed } from '../observed.ts';
import type { Phase } from '../phase.ts';
import { type Wanted, lacking } from '../role-attributes.ts';
import { attributeList } from '../role-options.ts';

const { unit } = itemsOf('privileged-role');

const groups = ['pg_read_all_data', 'pg_write_all_data'] as const;

/** Its members get its privileges, so it must not be able to log in, nor have more than they may have. */
const held: Wanted = {
  superuser: false,
  createdb: true,
  createrole: true,
  login: false,
  replication: true,
  bypassrls: true,
};

/** The group role that is almost a superuser. Missing attributes and memberships are restored; extra ones are kept. */
export const privilegedRole: Phase = {
  name: 'privileged-role',
  plan(input, observed) {
    const name = input.privilegedRole;
    const role = ident(name);
    const existing = observed.roles.get(name);
    if (existing === undefined) {
      const { superuser: _, ...attributes } = held;
      const create = sql`create role ${role} ${attributeList(attributes)} in role ${checked(groups.join(', '), /^[a-z_, ]+$/)}`;
      return [unit('batch', 'create', roleObject(name), [create])];
    }
    const attributes = lacking(held, existing.attributes);
    const statements = [
      ...(Object.keys(attributes).length === 0 ? [] : [sql`alter role ${role} ${attributeList(attributes)}`]),
      ...groups
        .filter((group) => !observed.privilegedIn.has(group))
        .map((group) => sql`grant ${ident(group)} to ${role}`),
    ];
    return statements.length === 0 ? [] : [unit('batch', 'repair', roleObject(name), statements)];
  },
  foresee: (input, observed) => withPrivilegedRole(input, observed),
};

const withPrivilegedRole = (input: CatalogInput, observed: Observed): Observed => {
  if (observed.roles.has(input.privilegedRole)) return observed;
  const attributes = {
    superuser: false,
    inherit: true,
    createrole: true,
    createdb: true,
    login: false,
    replication: true,
    bypassrls: true,
    connectionLimit: -1,
    validUntil: null,
  };
  const role = { oid: 0, attributes, password: null, member: false };
  return { ...observed, roles: new Map(observed.roles).set(input.privilegedRole, role) };
};
