import { type Sql, ident, sql } from '../../core/sql.ts';
import type { Role } from '../../spec/schema.ts';
import { type CatalogInput, proxyRoles } from '../input.ts';
import { itemsOf, roleObject } from '../items.ts';
import { type Observed, type ObservedRole, createroleIsHarmless } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { type RoleAttributes, type Wanted, explicit, lacking, spoken } from '../role-attributes.ts';
import { attributeList, otherOptions } from '../role-options.ts';

const { unit, skip, note } = itemsOf('roles');

/** The server's defaults for a new role. */
const bare: RoleAttributes = {
  superuser: false,
  inherit: true,
  createrole: false,
  createdb: false,
  login: false,
  replication: false,
  bypassrls: false,
  connectionLimit: -1,
  validUntil: null,
};

/** The spec's roles, without their passwords: attributes, options, membership in the privileged role.
 *
 *  A role gets its default attributes and its membership in the statement that creates it, so an interrupted pass leaves
 *  nothing to complete. Later only the spec's own options are set: attributes that a user removed, or did not give to his
 *  own role, stay as they are. */
export const roles: Phase = {
  name: 'roles',
  plan(input, observed) {
    const dropped = droppedRoles(input, observed);
    const items = input.spec.cluster.roles.flatMap((role): PlanItem[] => {
      if (dropped.has(role.name)) return [skip(roleObject(role.name), 'a delta operation deletes it', true)];
      const existing = observed.roles.get(role.name);
      return existing === undefined ? [create(input, observed, role)] : alter(role, existing);
    });
    const made = input.spec.cluster.roles.some(
      (role) => isPrivileged(input, role) && !dropped.has(role.name) && !observed.roles.has(role.name),
    );
    return made && !createroleIsHarmless(observed) ? [...items, note('roles', withoutCreaterole)] : items;
  },
  foresee(input, observed) {
    const dropped = droppedRoles(input, observed);
    const after = new Map(observed.roles);
    for (const role of input.spec.cluster.roles) {
      if (dropped.has(role.name)) continue;
      const now = after.get(role.name);
      after.set(role.name, {
        oid: now?.oid ?? 0,
        attributes: {
          ...(now?.attributes ?? { ...bare, ...atCreation(input, observed, role) }),
          ...explicit(role.options),
        },
        password: now?.password ?? null,
      });
    }
    return { ...observed, roles: after };
  },
};

const withoutCreaterole =
  'made without CREATEROLE where their own options do not ask for it: before PostgreSQL 16 it leads to the operating system';

const isPrivileged = (input: CatalogInput, role: Role): boolean => !proxyRoles(input.spec).has(role.name);

const atCreation = (input: CatalogInput, observed: Observed, role: Role): Wanted => ({
  ...(isPrivileged(input, role) ? spoken : {}),
  ...(isPrivileged(input, role) && createroleIsHarmless(observed) ? { createrole: true } : {}),
  ...explicit(role.options),
  login: true,
});

function create(input: CatalogInput, observed: Observed, role: Role): PlanItem {
  const pieces: Sql[] = [attributeList(atCreation(input, observed, role)), ...otherOptions(role.options)];
  if (isPrivileged(input, role)) pieces.push(sql`in role ${ident(input.privilegedRole)}`);
  const statement = pieces.reduce((all, piece) => sql`${all} ${piece}`, sql`create role ${ident(role.name)}`);
  return unit('batch', 'create', roleObject(role.name), [statement]);
}

function alter(role: Role, existing: ObservedRole): PlanItem[] {
  const attributes = lacking(explicit(role.options), existing.attributes);
  if (Object.keys(attributes).length === 0) return [];
  const statement = sql`alter role ${ident(role.name)} ${attributeList(attributes)}`;
  return [unit('batch', 'alter', roleObject(role.name), [statement])];
}
