import { type Sql, body, ident, literal, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import type { Observed } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip } = itemsOf('delete-role-references');

/** Reassigns the objects of a role, then revokes its privileges, in every database that `pg_shdepend` lists for it, also
 *  in databases that are not in the spec. One transaction for each role and database: a `DROP OWNED` after a failed
 *  `REASSIGN OWNED` would drop users' tables. The system database comes first and includes shared objects. Databases
 *  follow one after the other, because two at the same time would conflict on shared objects.
 *
 *  The new owner is not a superuser: a function with SECURITY DEFINER, a view or an index expression would run a user's
 *  code as superuser. */
export const deleteRoleReferences: Phase = {
  name: 'delete-role-references',
  plan(input, observed) {
    const dropped = droppedRoles(input, observed);
    return [...dropped].flatMap((role): PlanItem[] => {
      if (!observed.roles.has(role)) return [];
      const places = observed.references.get(role) ?? [];
      const names = new Set(places.map((place) => place ?? input.systemDatabase));
      const ordered = [...names].sort(
        (a, b) => Number(b === input.systemDatabase) - Number(a === input.systemDatabase),
      );
      return ordered.map((database) => {
        if (observed.databases.get(database)?.connectable === false) {
          return skip(
            roleObject(role),
            `database ${JSON.stringify(database)} refers to it, but accepts no connections`,
            true,
          );
        }
        const heir = heirOf(role, input, observed, dropped, database);
        return unit(
          'session-in-turn',
          `hand over to ${JSON.stringify(heir)}`,
          roleObject(role),
          statements(input, role, heir),
          database,
        );
      });
    });
  },
};

/** The database's owner, in the system database the superuser; in place of a superuser the privileged role, unless
 *  the role that goes is a superuser itself. */
function heirOf(
  role: string,
  input: CatalogInput,
  observed: Observed,
  dropped: ReadonlySet<string>,
  database: string,
): string {
  const listed = input.spec.cluster.databases.find(({ name }) => name === database);
  const existing = observed.databases.get(database);
  const owner = listed?.owner ?? existing?.owner ?? '';
  const nobodys =
    listed === undefined && (database === input.systemDatabase || owner === '' || dropped.has(owner));
  const heir = nobodys ? input.adminRole : owner;
  const isSuperuser = (name: string): boolean =>
    observed.roles.get(name)?.attributes.superuser ?? (name === existing?.owner && existing.ownerIsSuperuser);
  return isSuperuser(heir) && !isSuperuser(role) ? input.privilegedRole : heir;
}

const statements = (input: CatalogInput, role: string, heir: string): Sql[] => [
  sql`reassign owned by ${ident(role)} to ${ident(heir)}`,
  sql`do ${body(revokeBlock(role, input.adminRole))}`,
  sql`drop owned by ${ident(role)}`,
];

/** `DROP OWNED` does not revoke what a third role granted with its grant option, and then `DROP ROLE` fails. */
const revokeBlock = (role: string, admin: string): Sql => sql`
declare
  dropped constant pg_catalog.oid := (select r.oid from pg_catalog.pg_authid r where r.rolname = ${literal(role)});
  held record;
begin
  for held in
    select distinct pg_catalog.pg_get_userbyid(f.grantor) as grantor, f.kind, f.object from (
      select a.grantor, 'table' as kind, pg_catalog.format('%I.%I', n.nspname, c.relname) as object
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      cross join lateral pg_catalog.aclexplode(c.relacl) a
      where a.grantee = dropped and a.grantor <> c.relowner
      union all
      select a.grantor, 'table', pg_catalog.format('%I.%I', n.nspname, c.relname)
      from pg_catalog.pg_attribute t
      join pg_catalog.pg_class c on c.oid = t.attrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      cross join lateral pg_catalog.aclexplode(t.attacl) a
      where a.grantee = dropped and a.grantor <> c.relowner
      union all
      select a.grantor, 'routine', p.oid::pg_catalog.regprocedure::pg_catalog.text
      from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
      where a.grantee = dropped and a.grantor <> p.proowner
      union all
      select a.grantor, 'schema', pg_catalog.format('%I', n.nspname)
      from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
      where a.grantee = dropped and a.grantor <> n.nspowner
      union all
      select a.grantor, 'type', pg_catalog.format('%I.%I', n.nspname, t.typname)
      from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      cross join lateral pg_catalog.aclexplode(t.typacl) a
      where a.grantee = dropped and a.grantor <> t.typowner
      union all
      select a.grantor, 'foreign server', pg_catalog.format('%I', s.srvname)
      from pg_catalog.pg_foreign_server s cross join lateral pg_catalog.aclexplode(s.srvacl) a
      where a.grantee = dropped and a.grantor <> s.srvowner
      union all
      select a.grantor, 'database', pg_catalog.format('%I', d.datname)
      from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) a
      where a.grantee = dropped and a.grantor <> d.datdba
    ) f
  loop
    execute pg_catalog.format('set local role %I', held.grantor);
    execute pg_catalog.format(
      'revoke all privileges on %s %s from %I granted by %I cascade', held.kind, held.object, ${literal(role)}::pg_catalog.text, held.grantor);
  end loop;
  execute pg_catalog.format('set local role %I', ${literal(admin)}::pg_catalog.text);
end
`;
