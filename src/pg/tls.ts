import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ComputeError } from '../core/errors.ts';
import type { PgTarget, PgTls } from './target.ts';

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
