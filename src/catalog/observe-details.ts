import { integer, literal, sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import { readName } from '../pg/raw-name.ts';
import { setting } from '../spec/resolve.ts';
import type { CatalogInput } from './input.ts';
import { operationsDigest } from './operations.ts';
import type { Bookkeeping, ObservedExtension, ObservedSchema } from './observed.ts';

/** Extensions whose default version the plan requires. The query makes the server read every control file. */
export function wantedExtensions(
  { spec, lakebase }: CatalogInput,
  preloaded: readonly string[],
  installed: ReadonlyMap<string, ObservedExtension>,
): string[] {
  const wanted = preloaded.includes('neon') ? ['neon'] : [];
  if (lakebase) wanted.push('databricks_auth');
  if (spec.audit_log_level !== 'Disabled')
    wanted.push(...['pgaudit', 'pgauditlogtofile'].filter((one) => !installed.has(one)));
  const libraries = setting(spec, 'shared_preload_libraries') ?? '';
  if (libraries.includes('pg_stat_statements') && !installed.has('pg_stat_statements'))
    wanted.push('pg_stat_statements');
  return wanted;
}

/** Default versions of the given extensions, without those that the server cannot install. */
export async function available(client: PgClient, names: readonly string[]): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  const text =
    'select a.name, a.default_version as version from pg_catalog.pg_available_extensions a where a.name = any ($1::pg_catalog.name[])';
  const { rows } = await client.query<{ name: string; version: string }>({ text, values: [names] });
  return new Map(rows.map(({ name, version }) => [name, version]));
}

/** @see Observed.statementsObstructed */
export async function statementsObstructed(client: PgClient, names: readonly string[]): Promise<boolean> {
  if (!names.includes('pg_stat_statements')) return false;
  const { rows } = await client.query<{ obstructed: boolean }>(
    `select not exists (select from pg_catalog.pg_namespace n where n.nspname = 'public') or exists (
       select from (
         select c.relname as name, c.relnamespace as schema from pg_catalog.pg_class c
         union all select p.proname, p.pronamespace from pg_catalog.pg_proc p
         union all select t.typname, t.typnamespace from pg_catalog.pg_type t) o
       join pg_catalog.pg_namespace n on n.oid = o.schema
       where n.nspname = 'public' and pg_catalog.starts_with(o.name::pg_catalog.text, 'pg_stat_statements')) as obstructed`,
  );
  return rows[0]?.obstructed === true;
}

const nothing = sql`null::pg_catalog.text`;
const nothingDone: Bookkeeping = {
  operationsDone: null,
  operationsDoneAlone: new Set(),
  subscriptionsDroppedOn: null,
  subscriptionsLeftIn: new Set(),
};

/** Reads the bookkeeping that the plan requires. Members of `pg_write_all_data` can write to these tables, so this reads
 *  only the rows that we write, and only values of the length that we write. */
export async function bookkeeping(
  client: PgClient,
  input: CatalogInput,
  schemas: ReadonlyMap<string, ObservedSchema>,
): Promise<Bookkeeping> {
  const has = (name: string, table: string): boolean => {
    const found = schemas.get(name);
    return found?.trusted === true && found.tables.includes(table);
  };
  const digest = operationsDigest(input);
  const wantsOperation = digest !== null && has('neon_migration', 'operation_done');
  const wantsTimeline = input.spec.drop_subscriptions_before_start && has('neon', 'drop_subscriptions_done');
  const wantsLeft = wantsTimeline && has('neon_migration', 'subscriptions_left');
  if (!wantsOperation && !wantsTimeline) return nothingDone;
  const operation = sql`(select o.digest::pg_catalog.text from neon_migration.operation_done o
    where o.key = 0 and pg_catalog.octet_length(o.digest) = 64 limit 1)`;
  const alone = sql`(select pg_catalog.json_agg(o.key) from neon_migration.operation_done o
    where o.key between 1 and ${integer(input.spec.delta_operations?.length ?? 0)}
      and case when pg_catalog.octet_length(o.digest) = 64 then o.digest = ${literal(digest ?? '')} else false end)`;
  const timeline = sql`(select d.timeline_id::pg_catalog.text from neon.drop_subscriptions_done d
    where d.id = 1 and pg_catalog.octet_length(d.timeline_id) = 32 limit 1)`;
  const left = sql`(select pg_catalog.json_agg(l.database::pg_catalog.int8)
    from neon_migration.subscriptions_left l join pg_catalog.pg_database d on d.oid = l.database)`;
  const statement = sql`select ${wantsOperation ? operation : nothing} as operation,
    ${wantsOperation ? alone : nothing} as alone, ${wantsTimeline ? timeline : nothing} as timeline,
    ${wantsLeft ? left : nothing} as left`;
  const { rows } = await client.query<{
    operation: string | null;
    alone: readonly number[] | null;
    timeline: string | null;
    left: readonly number[] | null;
  }>(statement.reveal());
  return {
    operationsDone: rows[0]?.operation ?? null,
    operationsDoneAlone: new Set(rows[0]?.alone?.map((key) => key - 1)),
    subscriptionsDroppedOn: rows[0]?.timeline ?? null,
    subscriptionsLeftIn: new Set(rows[0]?.left),
  };
}

/** Names of databases by OID, for those whose name is not UTF-8, or contains the character that stands for that.
 *  @see readName */
export async function rawNames(
  client: PgClient,
  databases: readonly { readonly oid: number; readonly name: string }[],
): Promise<Map<number, string>> {
  const unreadable = databases.filter(({ name }) => name.includes('\uFFFD')).map(({ oid }) => oid);
  if (unreadable.length === 0) return new Map();
  const text = `select d.oid::pg_catalog.text as oid, pg_catalog.encode(pg_catalog.namesend(d.datname), 'hex') as bytes
    from pg_catalog.pg_database d where d.oid = any ($1::pg_catalog.oid[])`;
  const { rows } = await client.query<{ oid: string; bytes: string }>({ text, values: [unreadable] });
  return new Map(rows.map(({ oid, bytes }) => [Number(oid), readName(Buffer.from(bytes, 'hex'))]));
}
