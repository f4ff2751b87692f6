import { join, literal, sql } from '../../core/sql.ts';
import { itemsOf } from '../items.ts';
import { proxyRoles } from '../input.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase } from '../phase.ts';

const { unit } = itemsOf('neon-schema');

/** Creates the bookkeeping schemas and records which roles compute_ctl made privileged. A member that lost its membership
 *  looks like a role that users created themselves; only this record distinguishes them. Roles are recorded by oid, so
 *  that a role which users create later under the same name is not taken for ours. */
export const neonSchema: Phase = {
  name: 'neon-schema',
  plan(input, observed) {
    const schema = observed.schemas.has('neon')
      ? []
      : [unit('batch', 'create', 'schema "neon"', [sql`create schema neon`])];
    const dropped = droppedRoles(input, observed);
    const proxies = proxyRoles(input.spec);
    const unrecorded = input.spec.cluster.roles
      .map(({ name }) => name)
      .filter((name) => {
        const role = observed.roles.get(name);
        if (role === undefined || !role.member || dropped.has(name) || proxies.has(name)) return false;
        return role.oid === 0 || !observed.bookkeeping.managedRoles.has(role.oid);
      });
    if (unrecorded.length === 0) return schema;
    const names = join(unrecorded.map((name) => literal(name)));
    return [
      ...schema,
      unit('batch', 'record', 'privileged roles', [
        sql`create schema if not exists neon_migration`,
        sql`create table if not exists neon_migration.managed_role (oid pg_catalog.oid primary key)`,
        sql`delete from neon_migration.managed_role m where not exists (select from pg_catalog.pg_authid r where r.oid = m.oid)`,
        sql`insert into neon_migration.managed_role select r.oid from pg_catalog.pg_authid r where r.rolname in (${names}) on conflict do nothing`,
      ]),
    ];
  },
  foresee(input, observed) {
    const schemas = new Map(observed.schemas);
    const made = { owner: input.adminRole, trusted: true, tables: [] };
    if (!schemas.has('neon')) schemas.set('neon', { name: 'neon', ...made });
    return { ...observed, schemas };
  },
};
