import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ComputeError } from '../core/errors.ts';
import type { PgTarget } from './target.ts';

/** How a connection is encrypted, in the terms of libpq.
 *  @see https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export interface PgTls {
  /** `require`: any certificate; `verify-ca`: one from a trusted issuer; `verify-full`: one that also names the server. */
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
  /** The name that the certificate must contain; may differ from the address of the connection. */
  readonly serverName: string;
  /** A PEM file of trusted issuers; null: those that Node trusts, `NODE_EXTRA_CA_CERTS` included. */
  readonly rootCert: string | null;
}

/** The same as options for Node. @throws ComputeError `tls` when the file of issuers cannot be read */
export async function tlsOptions(
  { mode, serverName, rootCert }: PgTls,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const { checkServerIdentity } = await import('node:tls');
  return {
    rejectUnauthorized: mode !== 'require',
    // Node's default check compares with `localhost` when the server is given by address.
    checkServerIdentity: (_, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(serverName, certificate) : undefined,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ...(rootCert === null ? {} : { ca: await readRoots(rootCert, signal) }),
  };
}

/** The same as variables for libpq. libpq compares the certificate with the host, so PGHOSTADDR holds the address when it
 *  differs from the name in the certificate. */
export function tlsEnvironment({ tls, host }: PgTarget): NodeJS.ProcessEnv {
  if (tls === undefined) return { PGSSLMODE: 'disable' };
  const { mode, serverName, rootCert } = tls;
  // Since version 16 libpq accepts the system's issuers, but only with verify-full.
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
      "sslrootcert must name a readable PEM file with the trusted issuers; sslrootcert=system trusts Node's issuers";
    throw new ComputeError('tls', `cannot read the trusted issuers in ${path}`, { cause, hint });
  }
}
