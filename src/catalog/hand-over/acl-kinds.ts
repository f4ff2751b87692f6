import { type Sql, join, sql } from '../../core/sql.ts';

/** A kind of object with an access control list (ACL). */
interface AclKind {
  readonly catalog: Sql;
  /** Condition on the row `s` of `pg_shdepend` that refers to such an object. */
  readonly referred: Sql;
  readonly acl: Sql;
  readonly owner: Sql;
  /** As in `GRANT … ON <kind> <name>`, both as SQL expressions that return text. */
  readonly kind: Sql;
  readonly name: Sql;
  /** The first major that has it. */
  readonly since?: number;
}

const inSchema = (schema: Sql, name: Sql): Sql =>
  sql`pg_catalog.format('%I.%I', (select n.nspname from pg_catalog.pg_namespace n where n.oid = ${schema}), ${name})`;
const quoted = (name: Sql): Sql => sql`pg_catalog.format('%I', ${name})`;
const relationKind = sql`case c.relkind when 'S' then 'sequence' else 'table' end`;
const relationName = inSchema(sql`c.relnamespace`, sql`c.relname`);

/** Every kind but default privileges, whose grantor is always the role that they belong to. */
const aclKinds: readonly AclKind[] = [
  {
    catalog: sql`pg_catalog.pg_class c`,
    referred: sql`s.classid = 1259 and s.objsubid = 0 and c.oid = s.objid`,
    acl: sql`c.relacl`,
    owner: sql`c.relowner`,
    kind: relationKind,
    name: relationName,
  },
  {
    catalog: sql`pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid`,
    referred: sql`s.classid = 1259 and s.objsubid <> 0 and t.attrelid = s.objid and t.attnum = s.objsubid`,
    acl: sql`t.attacl`,
    owner: sql`c.relowner`,
    kind: relationKind,
    name: relationName,
  },
  {
    catalog: sql`pg_catalog.pg_proc p`,
    referred: sql`s.classid = 1255 and p.oid = s.objid`,
    acl: sql`p.proacl`,
    owner: sql`p.proowner`,
    kind: sql`'routine'`,
    name: sql`p.oid::pg_catalog.regprocedure::pg_catalog.text`,
  },
  {
    catalog: sql`pg_catalog.pg_namespace n`,
    referred: sql`s.classid = 2615 and n.oid = s.objid`,
    acl: sql`n.nspacl`,
    owner: sql`n.nspowner`,
    kind: sql`'schema'`,
    name: quoted(sql`n.nspname`),
  },
  {
    catalog: sql`pg_catalog.pg_type t`,
    referred: sql`s.classid = 1247 and t.oid = s.objid`,
    acl: sql`t.typacl`,
    owner: sql`t.typowner`,
    kind: sql`'type'`,
    name: inSchema(sql`t.typnamespace`, sql`t.typname`),
  },
  {
    catalog: sql`pg_catalog.pg_language l`,
    referred: sql`s.classid = 2612 and l.oid = s.objid`,
    acl: sql`l.lanacl`,
    owner: sql`l.lanowner`,
    kind: sql`'language'`,
    name: quoted(sql`l.lanname`),
  },
  {
    catalog: sql`pg_catalog.pg_largeobject_metadata m`,
    referred: sql`s.classid = 2613 and m.oid = s.objid`,
    acl: sql`m.lomacl`,
    owner: sql`m.lomowner`,
    kind: sql`'large object'`,
    name: sql`m.oid::pg_catalog.text`,
  },
  {
    catalog: sql`pg_catalog.pg_foreign_data_wrapper w`,
    referred: sql`s.classid = 2328 and w.oid = s.objid`,
    acl: sql`w.fdwacl`,
    owner: sql`w.fdwowner`,
    kind: sql`'foreign data wrapper'`,
    name: quoted(sql`w.fdwname`),
  },
  {
    catalog: sql`pg_catalog.pg_foreign_server f`,
    referred: sql`s.classid = 1417 and f.oid = s.objid`,
    acl: sql`f.srvacl`,
    owner: sql`f.srvowner`,
    kind: sql`'foreign server'`,
    name: quoted(sql`f.srvname`),
  },
  {
    catalog: sql`pg_catalog.pg_database d`,
    referred: sql`s.classid = 1262 and d.oid = s.objid`,
    acl: sql`d.datacl`,
    owner: sql`d.datdba`,
    kind: sql`'database'`,
    name: quoted(sql`d.datname`),
  },
  {
    catalog: sql`pg_catalog.pg_tablespace d`,
    referred: sql`s.classid = 1213 and d.oid = s.objid`,
    acl: sql`d.spcacl`,
    owner: sql`d.spcowner`,
    kind: sql`'tablespace'`,
    name: quoted(sql`d.spcname`),
  },
  {
    catalog: sql`pg_catalog.pg_parameter_acl a`,
    referred: sql`s.classid = 6243 and a.oid = s.objid`,
    acl: sql`a.paracl`,
    // The superuser from initdb.
    owner: sql`10::pg_catalog.oid`,
    kind: sql`'parameter'`,
    name: sql`(select pg_catalog.string_agg(pg_catalog.quote_ident(e.part), '.' order by e.place)
      from pg_catalog.unnest(pg_catalog.string_to_array(a.parname, '.')) with ordinality as e (part, place))`,
    since: 15,
  },
];

/** A query of the objects that a row `s` of `pg_shdepend` may refer to: at most one row, with the columns `acl`, `owner`,
 *  `kind`, `name`. */
export const objectWithAcl = (major: number): Sql =>
  join(
    aclKinds
      .filter(({ since = 0 }) => major >= since)
      .map(
        ({ catalog, referred, acl, owner, kind, name }) =>
          sql`select ${acl} as acl, ${owner} as owner, ${kind} as kind, ${name} as name from ${catalog} where ${referred}`,
      ),
    sql` union all
`,
  );
