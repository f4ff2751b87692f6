import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ComputeError } from '../core/errors.ts';
import type { PgTarget } from './target.ts';

/** How a connection is encrypted, in the terms of libpq.
 *  @see https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export interface PgTls {
  /** `require` takes any certificate, `verify-ca` one of a trusted issuer, `verify-full` one that names the server too. */
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
  /** Whom the certificate must name: not always the address that is connected to. */
  readonly serverName: string;
  /** A PEM file of trusted issuers; null: those that Node trusts, `NODE_EXTRA_CA_CERTS` included. */
  readonly rootCert: string | null;
}

/** The same in the terms of Node. @throws ComputeError `tls` when the file of issuers cannot be read */
export async function tlsOptions(
  { mode, serverName, rootCert }: PgTls,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const { checkServerIdentity } = await import('node:tls');
  return {
    rejectUnauthorized: mode !== 'require',
    // Left to itself Node compares with `localhost` when it is given an address in place of a name.
    checkServerIdentity: (_, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(serverName, certificate) : undefined,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ...(rootCert === null ? {} : { ca: await readRoots(rootCert, signal) }),
  };
}

/** The same in the variables of libpq. They say where the server is when that is not the name in its certificate, which
 *  libpq takes from the host. */
export function tlsEnvironment({ tls, host }: PgTarget): NodeJS.ProcessEnv {
  if (tls === undefined) return { PGSSLMODE: 'disable' };
  const { mode, serverName, rootCert } = tls;
  // libpq takes the issuers of the system, since 16, only with the name.
  const roots = rootCert ?? (mode === 'verify-full' ? 'system' : null);
  return {
    PGSSLMODE: mode,
    ...(serverName === host ? {} : { PGHOSTADDR: host }),
    ...(roots === null ? {} : { PGSSLROOTCERT: roots }),
  };
}

async function readRoots(path: string, signal: AbortSignal): Promise<Buffer> {
  try {
    return await readFile(path, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    const hint =
      'sslrootcert names a PEM file with the issuers to trust; sslrootcert=system trusts those of Node';
    throw new ComputeError('tls', `cannot read the trusted issuers in ${path}`, { cause, hint });
  }
}
