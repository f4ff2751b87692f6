import type { PgTarget } from './target.ts';

/** A setting that our own sessions pin: a database or a role may have any value for it, and only the start-up packet
 *  outranks those. */
interface PinnedSetting {
  readonly name: string;
  readonly value: string;
  /** The first major that has it. */
  readonly since?: number;
  /** The last major that it is pinned for. */
  readonly until?: number;
  /** True for what the operator's own options may not change either, because the safety of our queries hangs on it. */
  readonly firm?: true;
  /** True for what only superusers may set, also when they log in. */
  readonly superuser?: true;
}

/** The one list, for every session of ours on this compute's Postgres and for its programs. What only superusers may set and
 *  only writes to the log (`log_statement`, `log_duration`) is left to the operator; before a statement with a secret,
 *  `catalog/send.ts` turns it off. */
export const pinnedSettings: readonly PinnedSetting[] = [
  // What a session may do, and until when.
  { name: 'role', value: 'none' },
  { name: 'default_transaction_read_only', value: 'off' },
  { name: 'default_transaction_isolation', value: 'read committed' },
  { name: 'default_transaction_deferrable', value: 'off' },
  { name: 'statement_timeout', value: '0' },
  { name: 'lock_timeout', value: '0' },
  { name: 'idle_in_transaction_session_timeout', value: '0' },
  { name: 'idle_session_timeout', value: '0' },
  { name: 'transaction_timeout', value: '0', since: 17 },
  { name: 'row_security', value: 'off' },
  { name: 'exit_on_error', value: 'off' },
  { name: 'client_connection_check_interval', value: '0' },
  { name: 'tcp_user_timeout', value: '0' },
  // A change of ours counts when the storage has it: as on Neon, where all commits wait for the standby `walproposer`. With a
  // lower value of an owner, /configure would answer too early; `remote_apply` would also wait until replicas have applied
  // it. When no standby acknowledges a commit, PostgreSQL waits for ever, and the limit of our client ends the wait.
  { name: 'synchronous_commit', value: 'on' },
  // What it loads and where it creates.
  { name: 'local_preload_libraries', value: '' },
  { name: 'session_preload_libraries', value: '', superuser: true },
  { name: 'default_tablespace', value: '' },
  { name: 'temp_tablespaces', value: '' },
  { name: 'default_table_access_method', value: 'heap' },
  // How values are read and written.
  { name: 'client_encoding', value: 'UTF8' },
  { name: 'DateStyle', value: 'ISO' },
  { name: 'IntervalStyle', value: 'postgres' },
  { name: 'TimeZone', value: 'UTC' },
  { name: 'bytea_output', value: 'hex' },
  { name: 'extra_float_digits', value: '1' },
  { name: 'standard_conforming_strings', value: 'on' },
  { name: 'transform_null_equals', value: 'off' },
  { name: 'quote_all_identifiers', value: 'off' },
  { name: 'check_function_bodies', value: 'on' },
  { name: 'plpgsql.extra_errors', value: 'none' },
  { name: 'plpgsql.variable_conflict', value: 'error', superuser: true },
  // Since 18 only, because the first minor releases before it do not have it.
  { name: 'restrict_nonsystem_relation_kind', value: '', since: 18 },
  // The notices are not read, and users can cause any number.
  { name: 'client_min_messages', value: 'error' },
  // A statement's parse tree contains its passwords.
  ...['debug_print_parse', 'debug_print_rewritten', 'debug_print_plan'].map((name) => ({
    name,
    value: 'off',
  })),
  // How queries are planned. The genetic planner's pool can be made larger than the memory.
  ...['jit', 'geqo'].map((name) => ({ name, value: 'off' })),
  ...[
    'seqscan',
    'indexscan',
    'indexonlyscan',
    'bitmapscan',
    'nestloop',
    'hashjoin',
    'mergejoin',
    'hashagg',
    'sort',
  ].map((node) => ({ name: `enable_${node}`, value: 'on' })),
  ...['from', 'join'].map((what) => ({ name: `${what}_collapse_limit`, value: '8' })),
  { name: 'max_parallel_workers_per_gather', value: '0' },
  { name: 'work_mem', value: '4MB' },
  { name: 'temp_file_limit', value: '-1', superuser: true },
  // Event triggers of users, login triggers among them, would run with our rights. Before 17 there is no switch but this
  // one, which leaves out those that are not enabled as ALWAYS or REPLICA.
  { name: 'event_triggers', value: 'off', since: 17, firm: true, superuser: true },
  { name: 'session_replication_role', value: 'replica', until: 16, firm: true, superuser: true },
  // When pg_temp is not named, it comes first for tables and types.
  { name: 'search_path', value: 'pg_catalog,pg_temp', firm: true },
];

/** The target of a session of ours.
 *  @param settings further ones of this session, e.g. `statement_timeout`; in milliseconds where they are times
 *  @param superuser false where the login may be one of another role: without what only superusers may set, which nobody
 *  else can attach to a database either
 *  @param asConfigured settings that this session takes from the server's configuration */
export function ownSession(
  target: PgTarget,
  settings: Readonly<Record<string, string | number>> = {},
  { superuser = true, asConfigured = [] }: { superuser?: boolean; asConfigured?: readonly string[] } = {},
): PgTarget {
  // Where the major is unknown, every setting that some major does not have is left out.
  const { major } = target;
  const known = pinnedSettings.filter(
    ({ since, until = Infinity, ...only }) =>
      !asConfigured.includes(only.name) &&
      (superuser || only.superuser !== true) &&
      (since === undefined || (major !== undefined && major >= since)) &&
      (major ?? 0) <= until,
  );
  const pins = (firm: boolean): string[] =>
    known.filter((setting) => (setting.firm === true) === firm).map(({ name, value }) => option(name, value));
  const own = Object.entries(settings).map(([name, value]) => option(name, String(value)));
  const options = [...pins(false), target.options, ...own, ...pins(true)];
  return { ...target, options: options.filter((text) => text !== '').join(' ') };
}

/** In the syntax of the start-up parameter `options`, where a backslash makes the next character a part of the value.
 *  @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS */
export const option = (name: string, value: string): string =>
  `-c ${name}=${value.replaceAll(/[\\\s]/g, (char) => `\\${char}`)}`;
