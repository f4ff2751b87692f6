import { checked, ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import { type Observed, createroleIsHarmless } from '../observed.ts';
import type { Phase } from '../phase.ts';
import { type Wanted, lacking } from '../role-attributes.ts';
import { attributeList } from '../role-options.ts';

const { unit } = itemsOf('privileged-role');

const groups = 'pg_read_all_data, pg_write_all_data';

/** Its members get its privileges, so it must not have more than they may have. */
const atCreation = (input: CatalogInput, observed: Observed): Wanted => ({
  createdb: true,
  createrole: createroleIsHarmless(observed),
  login: false,
  replication: !input.lakebase,
  bypassrls: true,
});

/** It must never have these, whoever granted them. */
const never = (observed: Observed): Wanted => ({
  superuser: false,
  login: false,
  ...(createroleIsHarmless(observed) ? {} : { createrole: false }),
});

/** The group role that is almost a superuser. Forbidden attributes are removed; missing ones are not restored. */
export const privilegedRole: Phase = {
  name: 'privileged-role',
  plan(input, observed) {
    const name = input.privilegedRole;
    const role = ident(name);
    const existing = observed.roles.get(name);
    if (existing === undefined) {
      const create = sql`create role ${role} ${attributeList(atCreation(input, observed))} in role ${checked(groups, /^[a-z_, ]+$/)}`;
      return [unit('batch', 'create', roleObject(name), [create])];
    }
    const attributes = lacking(never(observed), existing.attributes);
    if (Object.keys(attributes).length === 0) return [];
    return [
      unit('batch', 'restrict', roleObject(name), [sql`alter role ${role} ${attributeList(attributes)}`]),
    ];
  },
  foresee: (input, observed) => withPrivilegedRole(input, observed),
};

const withPrivilegedRole = (input: CatalogInput, observed: Observed): Observed => {
  if (observed.roles.has(input.privilegedRole)) return observed;
  const attributes = {
    superuser: false,
    inherit: true,
    createrole: createroleIsHarmless(observed),
    createdb: true,
    login: false,
    replication: true,
    bypassrls: true,
    connectionLimit: -1,
    validUntil: null,
  };
  const role = { oid: 0, attributes, password: null };
  return { ...observed, roles: new Map(observed.roles).set(input.privilegedRole, role) };
};
