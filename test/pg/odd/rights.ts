import type { PgTarget } from '../../../src/pg/target.ts';
import { query } from '../catalog/support.ts';

/** One right of one ACL, by names. */
export interface Entry {
  readonly object: string;
  readonly owner: string;
  readonly grantor: string;
  /** `public` for everybody. */
  readonly grantee: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface Rights {
  readonly entries: readonly Entry[];
  /** Objects with their owners; those of one role alone (user mappings, default privileges) left out. */
  readonly owners: ReadonlyMap<string, string>;
  /** Default privileges, as entries. */
  readonly defaults: readonly Entry[];
  /** Roles of each policy. */
  readonly policies: ReadonlyMap<string, readonly string[]>;
  /** ACLs whose references in `pg_shdepend` are not those of the ACL. */
  readonly inconsistent: readonly string[];
}

const catalogs = (major: number, shared: boolean): string[] => [
  `select 1259 as class, c.oid, 0 as sub, c.relowner as owner, c.relacl as acl,
     pg_catalog.acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner) as fallback from pg_class c where c.relkind in ('r', 'S', 'v')`,
  `select 1259, t.attrelid, t.attnum, c.relowner, t.attacl, null from pg_attribute t join pg_class c on c.oid = t.attrelid where t.attacl is not null`,
  `select 1255, p.oid, 0, p.proowner, p.proacl, pg_catalog.acldefault('f', p.proowner) from pg_proc p`,
  `select 2615, n.oid, 0, n.nspowner, n.nspacl, pg_catalog.acldefault('n', n.nspowner) from pg_namespace n where n.nspname !~ '^pg_(toast_)?temp'`,
  `select 1247, t.oid, 0, t.typowner, t.typacl, pg_catalog.acldefault('T', t.typowner) from pg_type t where t.typelem = 0 and t.typrelid = 0`,
  `select 2612, l.oid, 0, l.lanowner, l.lanacl, pg_catalog.acldefault('l', l.lanowner) from pg_language l`,
  `select 2613, m.oid, 0, m.lomowner, m.lomacl, pg_catalog.acldefault('L', m.lomowner) from pg_largeobject_metadata m`,
  `select 2328, w.oid, 0, w.fdwowner, w.fdwacl, pg_catalog.acldefault('F', w.fdwowner) from pg_foreign_data_wrapper w`,
  `select 1417, s.oid, 0, s.srvowner, s.srvacl, pg_catalog.acldefault('S', s.srvowner) from pg_foreign_server s`,
  ...(shared
    ? [
        `select 1262, d.oid, 0, d.datdba, d.datacl, pg_catalog.acldefault('d', d.datdba) from pg_database d`,
        `select 1213, t.oid, 0, t.spcowner, t.spcacl, pg_catalog.acldefault('t', t.spcowner) from pg_tablespace t`,
        ...(major < 15
          ? []
          : [`select 6243, a.oid, 0, 10::oid, a.paracl, null::aclitem[] from pg_parameter_acl a`]),
      ]
    : []),
];

const name = (oid: string): string =>
  `case ${oid} when 0 then 'public' else coalesce(pg_get_userbyid(${oid}), '?') end`;

/** Reads every right in a database; in the system database those on shared objects, too. */
export async function rightsIn(target: PgTarget, shared: boolean): Promise<Rights> {
  const acls = catalogs(target.major ?? 0, shared).join(' union all ');
  const [row] = await query<{ found: Record<string, never> }>(
    target,
    `with acls as materialized (select * from (${acls}) x where oid >= 16384 or acl is not null and class not in (1259, 1255)),
     named as (select a.*, i.type || ' ' || i.identity as object from acls a cross join lateral pg_identify_object(a.class, a.oid, a.sub) i)
     select json_build_object(
       'entries', (select json_agg(json_build_object('object', n.object, 'owner', ${name('n.owner')},
           'grantor', ${name('e.grantor')}, 'grantee', ${name('e.grantee')}, 'privilege', e.privilege_type, 'grantable', e.is_grantable))
         from named n cross join lateral aclexplode(coalesce(n.acl, n.fallback)) e
         -- The owner of parameters has no entry where nobody else has.
         where (n.class <> 6243 or e.grantee <> 10)
           -- On PostgreSQL 14 a pass hands it to the database's owner.
           and n.object <> 'schema public'),
       'owners', (select json_agg(json_build_array(i.type || ' ' || i.identity, pg_get_userbyid(s.refobjid)))
         from pg_shdepend s cross join lateral pg_identify_object(s.classid, s.objid, s.objsubid) i
         where s.deptype = 'o' and s.refclassid = 1260 and s.classid not in (826, 1418, 1261)
           and s.dbid in (${shared ? '0, ' : ''}(select oid from pg_database where datname = current_database()))),
       'defaults', (select json_agg(json_build_object('object', d.defaclobjtype::text || ' in ' || d.defaclnamespace::regnamespace::text,
           'owner', ${name('d.defaclrole')}, 'grantor', ${name('e.grantor')}, 'grantee', ${name('e.grantee')}, 'privilege', e.privilege_type, 'grantable', e.is_grantable))
         from pg_default_acl d cross join lateral aclexplode(d.defaclacl) e
         -- A row that says nothing but the built-in default is removed.
         where d.defaclnamespace <> 0 or not exists (
           select from aclexplode(acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end::"char", d.defaclrole)) b
           where b.grantee = e.grantee and b.privilege_type = e.privilege_type and b.is_grantable = e.is_grantable)),
       'policies', (select json_agg(json_build_array(p.polname::text || ' on ' || p.polrelid::regclass::text,
           (select json_agg(${name('r')} order by 1) from unnest(p.polroles) r))) from pg_policy p),
       'inconsistent', (select json_agg(n.object) from named n
         where (select array_agg(distinct m.role order by m.role) from (
             select e.grantor as role from aclexplode(n.acl) e union select e.grantee from aclexplode(n.acl) e) m
             where m.role >= 16384 and m.role <> n.owner)
           is distinct from (select array_agg(s.refobjid order by s.refobjid) from pg_shdepend s
             where s.classid = n.class and s.objid = n.oid and s.objsubid = n.sub and s.refclassid = 1260 and s.deptype = 'a' and s.refobjid >= 16384
               and s.dbid in (0, (select oid from pg_database where datname = current_database()))))
     ) as found`,
  );
  const found = (row?.found ?? {}) as {
    entries?: Entry[];
    owners?: [string, string][];
    defaults?: Entry[];
    policies?: [string, string[]][];
    inconsistent?: string[];
  };
  return {
    entries: found.entries ?? [],
    owners: new Map(found.owners ?? []),
    defaults: found.defaults ?? [],
    policies: new Map(found.policies ?? []),
    inconsistent: found.inconsistent ?? [],
  };
}

export interface Membership {
  readonly role: string;
  readonly member: string;
  /** With which options, whoever granted it. */
  readonly options: string;
}

export const memberships = (target: PgTarget): Promise<Membership[]> => {
  const options =
    (target.major ?? 0) < 16
      ? `concat(bool_or(m.admin_option))`
      : `concat(bool_or(m.admin_option), bool_or(m.inherit_option), bool_or(m.set_option))`;
  return query<Membership>(
    target,
    `select m.roleid::regrole::text as role, m.member::regrole::text as member, ${options} as options
     from pg_auth_members m group by 1, 2 order by 1, 2`,
  );
};

/** What others may lose when `role` goes: all that it passed on with its grant options, and what was passed on further. */
export function cascade(entries: readonly Entry[], role: string): Set<Entry> {
  const found = new Set<Entry>();
  const follow = (from: Entry): void => {
    if (found.has(from)) return;
    found.add(from);
    if (!from.grantable || from.grantee === from.owner) return;
    for (const next of entries)
      if (
        next.object === from.object &&
        next.privilege === from.privilege &&
        next.grantor === from.grantee &&
        next.grantor !== next.owner
      )
        follow(next);
  };
  for (const entry of entries) if (entry.grantor === role && entry.owner !== role) follow(entry);
  return found;
}

/** A right apart from who granted it. */
export const rightOf = ({ object, grantee, privilege }: Entry): string =>
  `${grantee}: ${privilege} on ${object}`;

/** Rights by name, with whether they may be passed on. */
export function held(entries: Iterable<Entry>): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const entry of entries) {
    const right = rightOf(entry);
    found.set(right, (found.get(right) ?? false) || entry.grantable);
  }
  return found;
}
