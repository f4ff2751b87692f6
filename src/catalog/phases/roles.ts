import { type Sql, ident, sql } from '../../core/sql.ts';
import type { Role } from '../../spec/schema.ts';
import { type CatalogInput, proxyRoles } from '../input.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { Observed, ObservedRole } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { type RoleAttributes, type Wanted, explicit, lacking, spoken } from '../role-attributes.ts';
import { attributeList, otherOptions } from '../role-options.ts';

const { unit, skip } = itemsOf('roles');

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
 *  The spec may also name a role that users created themselves. Such a role gets LOGIN and the spec's own options,
 *  nothing else. Lost attributes and membership are restored only for our own roles: members of the privileged role, and
 *  roles that were members according to the bookkeeping. */
export const roles: Phase = {
  name: 'roles',
  plan(input, observed) {
    const dropped = droppedRoles(input, observed);
    return input.spec.cluster.roles.flatMap((role) => {
      if (dropped.has(role.name)) return [skip(roleObject(role.name), 'a delta operation deletes it', true)];
      const existing = observed.roles.get(role.name);
      const item = existing === undefined ? create(input, role) : repair(input, observed, role, existing);
      return item === null ? [] : [item];
    });
  },
  foresee(input, observed) {
    const dropped = droppedRoles(input, observed);
    const after = new Map(observed.roles);
    for (const role of input.spec.cluster.roles) {
      if (dropped.has(role.name)) continue;
      const now = after.get(role.name);
      const member = now === undefined ? !isProxy(input, role) : isOurs(input, observed, role, now);
      after.set(role.name, {
        oid: now?.oid ?? 0,
        attributes: { ...(now?.attributes ?? bare), ...wanted(role, member) },
        password: now?.password ?? null,
        member: member || (now?.member ?? false),
      });
    }
    return { ...observed, roles: after };
  },
};

const isProxy = (input: CatalogInput, role: Role): boolean => proxyRoles(input.spec).has(role.name);

const isOurs = (input: CatalogInput, observed: Observed, role: Role, existing: ObservedRole): boolean =>
  !isProxy(input, role) && (existing.member || observed.bookkeeping.managedRoles.has(existing.oid));

const wanted = (role: Role, privileged: boolean): Wanted => ({
  ...(privileged ? spoken : {}),
  ...explicit(role.options),
  login: true,
});

function create(input: CatalogInput, role: Role): PlanItem {
  const privileged = !isProxy(input, role);
  const pieces: Sql[] = [attributeList(wanted(role, privileged)), ...otherOptions(role.options)];
  if (privileged) pieces.push(sql`in role ${ident(input.privilegedRole)}`);
  const statement = pieces.reduce((all, piece) => sql`${all} ${piece}`, sql`create role ${ident(role.name)}`);
  return unit('batch', 'create', roleObject(role.name), [statement]);
}

function repair(
  input: CatalogInput,
  observed: Observed,
  role: Role,
  existing: ObservedRole,
): PlanItem | null {
  const ours = isOurs(input, observed, role, existing);
  const attributes = lacking(wanted(role, ours), existing.attributes);
  const statements: Sql[] = [];
  if (Object.keys(attributes).length > 0) {
    statements.push(sql`alter role ${ident(role.name)} ${attributeList(attributes)}`);
  }
  if (ours && !existing.member)
    statements.push(sql`grant ${ident(input.privilegedRole)} to ${ident(role.name)}`);
  return statements.length === 0 ? null : unit('batch', 'alter', roleObject(role.name), statements);
}
