import { sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import { setting } from '../spec/resolve.ts';
import type { CatalogInput } from './input.ts';
import type { Bookkeeping, ObservedExtension, ObservedSchema } from './observed.ts';

/** Extensions whose default version the plan requires. The query makes the server read every control file. */
export function wantedExtensions(
  { spec }: CatalogInput,
  preloaded: readonly string[],
  installed: ReadonlyMap<string, ObservedExtension>,
): string[] {
  const wanted = preloaded.includes('neon') ? ['neon'] : [];
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

const nothing = sql`null::pg_catalog.json`;

/** Reads the bookkeeping tables that exist and can be trusted. */
export async function bookkeeping(
  client: PgClient,
  schemas: ReadonlyMap<string, ObservedSchema>,
): Promise<Bookkeeping> {
  const has = (name: string, table: string): boolean => {
    const found = schemas.get(name);
    return found?.trusted === true && found.tables.includes(table);
  };
  const managed = has('neon_migration', 'managed_role')
    ? sql`(select pg_catalog.json_agg(m.oid::pg_catalog.int8) from neon_migration.managed_role m)`
    : nothing;
  const operation = has('neon_migration', 'operation_done')
    ? sql`(select pg_catalog.to_json(o.digest) from neon_migration.operation_done o where o.key = 0)`
    : nothing;
  const timeline = has('neon', 'drop_subscriptions_done')
    ? sql`(select pg_catalog.to_json(d.timeline_id) from neon.drop_subscriptions_done d order by d.id limit 1)`
    : nothing;
  if ([managed, operation, timeline].every((one) => one === nothing)) {
    return { managedRoles: new Set(), operationsDone: null, subscriptionsDroppedOn: null };
  }
  const statement = sql`select ${managed} as managed, ${operation} as operation, ${timeline} as timeline`;
  const { rows } = await client.query<{
    managed: number[] | null;
    operation: string | null;
    timeline: string | null;
  }>(statement.reveal());
  return {
    managedRoles: new Set(rows[0]?.managed ?? []),
    operationsDone: rows[0]?.operation ?? null,
    subscriptionsDroppedOn: rows[0]?.timeline ?? null,
  };
}
