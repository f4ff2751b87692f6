import { userInfo } from 'node:os';
import { ComputeError, messageOf } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { PgTarget } from './target.ts';
import type { PgTls } from './target.ts';
import { type Parameters, parseKeyValues, parseUrl } from './libpq-syntax.ts';

/** A parsed connection string: `PgTarget` and the parts that only some callers use. */
export interface LibpqTarget extends PgTarget {
  readonly applicationName: string | null;
  /** Milliseconds; null when the string sets no limit. */
  readonly connectTimeoutMs: number | null;
}

const known: ReadonlySet<string> = new Set(
  (
    'user password dbname options application_name sslmode sslrootcert host hostaddr port connect_timeout tcp_user_timeout ' +
    'keepalives keepalives_idle keepalives_interval keepalives_retries target_session_attrs channel_binding ' +
    'load_balance_hosts replication'
  ).split(' '),
);

/** Parses a connection string of libpq, a URL or `key=value` pairs. The default user is that of the process.
 *  @param what names the string in the message: where it comes from
 *  @param form how it has to look, for the hint
 *  @throws ComputeError `connstr`; the message never contains the string, which may contain a password
 *  @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING */
export function parseLibpqUrl(
  text: string,
  what = 'connection string',
  form = 'postgresql://user@host:port/database',
): LibpqTarget {
  try {
    const parameters = /^postgres(?:ql)?:\/\//.test(text) ? parseUrl(text) : parseKeyValues(text);
    return toTarget(parameters, () => userInfo().username);
  } catch (error) {
    throw new ComputeError('connstr', `${what}: ${messageOf(error)}`, {
      hint: `write it as ${form}`,
    });
  }
}

/** Checks parameters and adds the defaults. @throws Error */
export function toTarget(parameters: Parameters, defaultUser: () => string): LibpqTarget {
  const unknown = [...parameters.keys()].find((name) => !known.has(name));
  if (unknown !== undefined) throw new Error(`unknown parameter ${JSON.stringify(unknown)}`);
  const value = (name: string): string | null => parameters.get(name) || null;
  const user = value('user') ?? defaultUser();
  const password = value('password');
  const seconds = value('connect_timeout');
  const host = oneHost(value('hostaddr') ?? value('host'));
  const tls = tlsOf(value('sslmode'), value('sslrootcert'), value('host') ?? host);
  return {
    host,
    port: wholeNumber('port', value('port') ?? '5432', 1, 65_535),
    user,
    password: password === null ? null : new Secret(password),
    database: value('dbname') ?? user,
    options: value('options') ?? '',
    applicationName: value('application_name'),
    connectTimeoutMs: seconds === null ? null : timeoutMs(seconds),
    ...(tls === null ? {} : { tls }),
  };
}

function oneHost(host: string | null): string {
  if (host === null) throw new Error('no host');
  if (host.includes(',')) throw new Error(`several hosts (${host}); only one can be used`);
  return host;
}

const plainModes: readonly string[] = ['disable', 'allow', 'prefer'];
const tlsModes: readonly PgTls['mode'][] = ['require', 'verify-ca', 'verify-full'];

/** Null means not encrypted; for `allow` and `prefer` we choose that. As in libpq, `sslrootcert` turns `require` into
 *  `verify-ca`, and `sslrootcert=system` requires `verify-full`. */
function tlsOf(sslMode: string | null, roots: string | null, serverName: string): PgTls | null {
  const text = sslMode ?? (roots === 'system' ? 'verify-full' : 'prefer');
  if (plainModes.includes(text) || serverName.startsWith('/')) return null;
  const mode = tlsModes.find((one) => one === text);
  if (mode === undefined) {
    const all = [...plainModes, ...tlsModes].join(', ');
    throw new Error(`sslmode: expected one of ${all}, found ${JSON.stringify(text)}`);
  }
  if (roots === 'system') {
    if (mode !== 'verify-full')
      throw new Error(`sslrootcert=system needs sslmode=verify-full, found ${mode}`);
    return { mode, serverName, rootCert: null };
  }
  return { mode: mode === 'require' && roots !== null ? 'verify-ca' : mode, serverName, rootCert: roots };
}

/** Zero and below mean no limit. */
function timeoutMs(text: string): number | null {
  const seconds = wholeNumber('connect_timeout', text, -1_000_000, 1_000_000);
  return seconds <= 0 ? null : seconds * 1000;
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^[+-]?\d+$/.test(text) && number >= min && number <= max) return number;
  throw new Error(`${name}: expected integer from ${min} to ${max}, found ${JSON.stringify(text)}`);
}
