import { ident, literal, sql } from '../../core/sql.ts';
import { roleObject, itemsOf } from '../items.ts';
import type { Observed } from '../observed.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip } = itemsOf('lakebase');

/** Roles of the programs around a compute; how they log in is in the included `pg_hba.conf`. */
export const lakebaseRoles = {
  databricks_monitor: sql`login in role pg_monitor`,
  databricks_control_plane: sql`login superuser`,
  databricks_gateway: sql`login`,
} as const;

const readerTimeout = 'databricks.reader_statement_timeout';

/** The readers get the time limit that the server has for them, where theirs is another one. */
const readers = sql`do $$
declare
  wanted text := pg_catalog.current_setting(${literal(readerTimeout)}, true);
  reader pg_catalog.name;
begin
  if coalesce(wanted, '') in ('', '0') then return; end if;
  for reader in
    select r.rolname from pg_catalog.pg_roles r
    where r.rolname operator(pg_catalog.~) '^databricks_reader_[0-9]+$' and not exists (
      select 1 from pg_catalog.unnest(r.rolconfig) as one
      where one operator(pg_catalog.=) pg_catalog.concat('statement_timeout=', wanted))
  loop
    execute pg_catalog.format('alter role %I set statement_timeout = %L', reader, wanted);
  end loop;
end $$`;

/** What lakebase mode wants of the catalog: its roles, its extension, and what the monitoring role may see. */
export const lakebase: Phase = {
  name: 'lakebase',
  plan(input, observed) {
    if (!input.lakebase) return [];
    const missing = Object.entries(lakebaseRoles).filter(([name]) => !observed.roles.has(name));
    return [
      ...missing.map(([name, options]) =>
        unit('batch', 'create', roleObject(name), [sql`create role ${ident(name)} ${options}`]),
      ),
      unit('batch', 'limit', 'roles "databricks_reader_…"', [readers]),
      ...extension(observed),
      ...grants(observed),
    ];
  },
};

function extension(observed: Observed): PlanItem[] {
  const name = 'databricks_auth';
  const object = `extension "${name}"`;
  const newest = observed.available.get(name);
  const installed = observed.extensions.get(name);
  if (newest === undefined && installed === undefined)
    return [skip(object, 'this server does not have it', true)];
  // In our search path there is only pg_catalog, in which nothing can be created.
  const create = sql`create extension ${ident(name)} schema public`;
  const show = sql`grant select on public.databricks_auth_metrics to pg_monitor`;
  if (installed === undefined) return [unit('batch', 'create', object, [create, show])];
  return installed.version === newest || newest === undefined
    ? []
    : [unit('batch', 'update', object, [sql`alter extension ${ident(name)} update`])];
}

/** Each only where it is missing: an unchanged server sees no write. */
function grants(observed: Observed): PlanItem[] {
  const object = roleObject('databricks_monitor');
  const has = observed.extensions.has('neon') || observed.preloaded.includes('neon');
  if (!has) return [skip(object, 'the server does not load the library "neon", whose functions it reads')];
  return [unit('batch', 'grant', object, [monitorGrants])];
}

const monitorGrants = sql`do $$
begin
  if not pg_catalog.has_schema_privilege('databricks_monitor', 'neon', 'usage') then
    grant usage on schema neon to databricks_monitor;
  end if;
  if not pg_catalog.has_function_privilege('databricks_monitor', 'pg_catalog.pg_ls_dir(text)', 'execute') then
    grant execute on function pg_catalog.pg_ls_dir(text) to databricks_monitor;
  end if;
  if pg_catalog.to_regclass('neon.neon_perf_counters') is not null
    and not pg_catalog.has_table_privilege('databricks_monitor', 'neon.neon_perf_counters', 'select') then
    grant select on neon.neon_perf_counters to databricks_monitor;
  end if;
  if pg_catalog.to_regprocedure('neon.get_perf_counters()') is not null
    and not pg_catalog.has_function_privilege('databricks_monitor', 'neon.get_perf_counters()', 'execute') then
    grant execute on function neon.get_perf_counters() to databricks_monitor;
  end if;
end $$`;
