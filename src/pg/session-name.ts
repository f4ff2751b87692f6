/** What `pg_stat_activity` shows of a session. */
export interface SessionShown {
  readonly pid: number;
  /** Empty for a process without a role. */
  readonly role: string;
  /** Empty for a process without a database. */
  readonly database: string;
  readonly application: string;
  /** `client backend`, `walsender`, … */
  readonly type: string;
}

/** The columns of `SessionShown`, from `pg_stat_activity` as `a`. */
export const sessionColumns = `a.pid, coalesce(a.usename::pg_catalog.text, '') as role,
  coalesce(a.datname::pg_catalog.text, '') as database, coalesce(a.application_name, '') as application,
  coalesce(a.backend_type, '') as type`;

/** For people: `process 4711 of role "ann" in database "app" (application "psql")`. Users choose the application's name. */
export function describeSession({ pid, role, database, application, type }: SessionShown): string {
  const who = role === '' ? '' : ` of role ${JSON.stringify(role)}`;
  const where = database === '' ? '' : ` in database ${JSON.stringify(database)}`;
  const kind = type === '' || type === 'client backend' ? 'process' : type;
  const what = application === '' ? '' : ` (application ${JSON.stringify(application)})`;
  return `${kind} ${pid}${who}${where}${what}`;
}

/** The longest list in one message. */
const most = 5;

/** `a, b, c, d, e and 7 more`. */
export const listed = (names: readonly string[]): string =>
  names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
