import type { PgTarget } from './target.ts';
import { tlsEnvironment } from './tls.ts';

/** What needs no quotes in `key=value` pairs. */
const plain = /^[\w.:/@-]+$/;

const quoted = (value: string): string =>
  plain.test(value) ? value : `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`;

/** A connection string of libpq, of `key=value` pairs in the order given. `parseLibpqUrl` reads it back. */
export const formatConninfo = (parameters: Readonly<Record<string, string | number>>): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${quoted(String(value))}`)
    .join(' ');

export interface UrlParts {
  readonly user: string;
  readonly password?: string;
  /** A name, an address, or the absolute path of a socket directory. */
  readonly host: string;
  readonly port: number;
  readonly database?: string;
}

/** A connection string of libpq, as a URL. `parseLibpqUrl` and `parseConnstr` read it back. */
export function formatUrl({ user, password, host, port, database }: UrlParts): string {
  const login = [user, ...(password === undefined ? [] : [password])].map(encodeURIComponent).join(':');
  const where = host.includes(':') ? `[${host}]` : encodeURIComponent(host);
  const path = database === undefined ? '' : `/${encodeURIComponent(database)}`;
  return `postgresql://${login}@${where}:${port}${path}`;
}

/** An environment without what would point libpq's programs elsewhere: PGHOST, PGOPTIONS, PGDATA and so on. */
export const withoutLibpq = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('PG')));

/** The variables that make one of libpq's programs log in as our own connections do, to `database`. The password travels
 *  here, where `ps` does not show it, and the name of the database, where nothing in it has a meaning. Host, port and user
 *  are arguments: `libpqArguments`. */
export function libpqEnvironment(target: PgTarget, database: string): NodeJS.ProcessEnv {
  return {
    PGDATABASE: database,
    PGOPTIONS: target.options,
    ...tlsEnvironment(target),
    ...(target.password === null ? {} : { PGPASSWORD: target.password.reveal() }),
  };
}

/** With TLS the host is the name in the certificate, wherever it is: see `tlsEnvironment`. */
export const libpqArguments = ({ host, port, user, tls }: PgTarget): string[] => [
  '--host',
  tls?.serverName ?? host,
  '--port',
  String(port),
  '--username',
  user,
];
