import type { PgTarget } from './target.ts';
import { tlsEnvironment } from './tls.ts';

/** Values that need no quotes in `key=value` pairs. */
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

/** The environment without libpq's variables (PGHOST, PGOPTIONS, PGDATA, …), which could send libpq's programs to another
 *  server. */
export const withoutLibpq = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('PG')));

/** Variables that make a libpq program log in to `database` like our own connections. They carry the password, since `ps`
 *  would show it in an argument, and the database name, since in an argument it could be read as a connection string.
 *  Host, port and user are arguments: `libpqArguments`. */
export function libpqEnvironment(target: PgTarget, database: string): NodeJS.ProcessEnv {
  return {
    PGDATABASE: database,
    PGOPTIONS: target.options,
    ...tlsEnvironment(target),
    ...(target.password === null ? {} : { PGPASSWORD: target.password.reveal() }),
  };
}

/** With TLS the host is the name in the certificate; `tlsEnvironment` sets the address. */
export const libpqArguments = ({ host, port, user, tls }: PgTarget): string[] => [
  '--host',
  tls?.serverName ?? host,
  '--port',
  String(port),
  '--username',
  user,
];
