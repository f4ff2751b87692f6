import type { PgClient } from '../../../src/pg/client.ts';

/** A parameter and a value to try. */
export type Trial = readonly [name: string, value: string];

/** Values of parameters that are text, beside those that all of them get. */
const texts: Readonly<Record<string, readonly string[]>> = {
  role: ['tenant'],
  session_authorization: ['tenant'],
  search_path: ['evil', 'evil, pg_catalog', '"$user"'],
  client_encoding: ['LATIN1', 'EUC_JP', 'SQL_ASCII', 'SJIS', 'BIG5', 'WIN1252'],
  DateStyle: ['German, DMY', 'SQL, MDY', 'Postgres, YMD'],
  TimeZone: ['Asia/Tokyo', '-167:59:59', 'Europe/London'],
  timezone_abbreviations: ['India', 'Australia'],
  lc_messages: ['C', 'C.UTF-8'],
  lc_monetary: ['C.UTF-8'],
  lc_numeric: ['C.UTF-8'],
  lc_time: ['C.UTF-8'],
  restrict_nonsystem_relation_kind: ['view, foreign-table'],
  wal_consistency_checking: ['all'],
  createrole_self_grant: ['set, inherit'],
  temp_tablespaces: ['pg_global'],
  default_tablespace: ['pg_global', 'pg_default'],
  backtrace_functions: ['exec_simple_query, errfinish'],
  log_destination: ['csvlog'],
  transaction_isolation: ['serializable', 'read uncommitted'],
  default_text_search_config: ['pg_catalog.german'],
  synchronized_standby_slots: ['nosuch'],
  debug_io_direct: ['data'],
  log_connections: ['all'],
  'plpgsql.extra_errors': ['all'],
  'plpgsql.extra_warnings': ['all'],
};
const everyText: readonly string[] = ['', 'nosuch', '"', `it's a \\ value, and another`, 'é'];

/** Values that do harm only together. */
export const sets: readonly (readonly Trial[])[] = [
  [
    ['geqo', 'on'],
    ['geqo_threshold', '2'],
    ['geqo_effort', '10'],
    ['geqo_pool_size', '2147483647'],
    ['geqo_generations', '2147483647'],
  ],
  [
    ['work_mem', '64'],
    ['temp_file_limit', '0'],
    ['hash_mem_multiplier', '1'],
  ],
  [
    ['log_statement', 'all'],
    ['log_transaction_sample_rate', '1'],
    ['log_min_error_statement', 'debug5'],
    ['log_parser_stats', 'on'],
    ['debug_print_parse', 'on'],
  ],
];

interface Parameter {
  readonly name: string;
  readonly vartype: 'bool' | 'enum' | 'integer' | 'real' | 'string';
  readonly min: string | null;
  readonly max: string | null;
  readonly enumvals: readonly string[] | null;
}

function valuesOf({ name, vartype, min, max, enumvals }: Parameter): readonly string[] {
  if (vartype === 'bool') return ['on', 'off'];
  if (vartype === 'enum') return enumvals ?? [];
  if (vartype === 'string') return [...(texts[name] ?? []), ...everyText];
  return [...new Set([min ?? '0', max ?? '1', '0', '1', '-1'])];
}

/** In rounds: the first value of each parameter, then the second, and so on, so that no round has a parameter twice. */
export async function rounds(pg: PgClient): Promise<readonly (readonly Trial[])[]> {
  const { rows } = await pg.query<Parameter>(`select name, vartype, min_val as min, max_val as max, enumvals
    from pg_catalog.pg_settings where context in ('user', 'superuser', 'backend', 'superuser-backend') order by name`);
  const all = rows.map((row): readonly Trial[] => valuesOf(row).map((value): Trial => [row.name, value]));
  const longest = Math.max(...all.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => all.flatMap((trials) => trials.slice(at, at + 1)));
}

/** Attaches the values to databases and roles in every way that there is. @returns those that the server accepted */
export const attach = (
  pg: PgClient,
  trials: readonly Trial[],
  databases: readonly string[],
): Promise<readonly Trial[]> =>
  attachTo(pg, trials, [
    'role all',
    'role cloud_admin',
    ...databases.flatMap((name) => [`database ${name}`, `role cloud_admin in database ${name}`]),
  ]);

/** @param places in the syntax of `ALTER … SET`. @returns those that the server accepted */
export async function attachTo(
  pg: PgClient,
  trials: readonly Trial[],
  places: readonly string[],
): Promise<readonly Trial[]> {
  const name = `(select pg_catalog.string_agg(pg_catalog.quote_ident(p), '.') from pg_catalog.unnest(pg_catalog.string_to_array(each.name, '.')) p)`;
  await pg.query(`do $$
    declare each record; place text;
    begin
      create temp table if not exists accepted (at int);
      truncate accepted;
      for each in select t.at, t.trial->>0 as name, t.trial->>1 as value
          from pg_catalog.json_array_elements($json$${JSON.stringify(trials)}$json$) with ordinality t(trial, at) loop
        begin
          foreach place in array array['${places.join("', '")}'] loop
            execute pg_catalog.format('alter %s set %s = %L', place, ${name}, each.value);
          end loop;
          insert into accepted values (each.at);
        exception when others then null;
        end;
      end loop;
    end $$`);
  const { rows } = await pg.query<{ at: number }>('select at from accepted order by at');
  return rows.flatMap(({ at }) => trials.slice(at - 1, at));
}

export async function detach(pg: PgClient, databases: readonly string[]): Promise<void> {
  await pg.query('alter role all reset all; alter role cloud_admin reset all');
  for (const name of databases)
    await pg.query(`alter database ${name} reset all; alter role cloud_admin in database ${name} reset all`);
}
