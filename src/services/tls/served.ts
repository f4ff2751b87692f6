import type { TLSSocket } from 'node:tls';
import { ComputeError, inline } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { openSocket } from '../../pg/socket.ts';
import type { PgTarget } from '../../pg/target.ts';

const everyMs = 200;

/** Waits until new connections to Postgres get this certificate. Over a socket directory there is no TLS, and nothing to see.
 *  @param fingerprint SHA-256, as Node shows it
 *  @throws ComputeError `tls` when they do not within `limitMs` */
export async function untilServed(
  target: PgTarget,
  fingerprint: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (target.host.startsWith('/')) return;
  let why: unknown = new Error('it still shows another certificate');
  const look = async (limited: AbortSignal): Promise<true | null> => {
    try {
      if ((await served(target, limited)) === fingerprint) return true;
      why = new Error('it still shows another certificate');
    } catch (error) {
      limited.throwIfAborted();
      why = error;
    }
    return null;
  };
  if ((await poll(look, { everyMs, limitMs }, signal)) !== null) return;
  throw new ComputeError('tls', `Postgres does not take the TLS key and certificate: ${inline(why)}`, {
    hint: 'its own reason is in the log, in a line with PG: and SSL; a setting of the spec (ssl, ssl_cert_file) may also stand against it',
  });
}

/** The fingerprint of the certificate that a new connection gets, without a log-in. */
async function served(target: PgTarget, signal: AbortSignal): Promise<string | null> {
  const tls = { mode: 'require', serverName: target.host, rootCert: null } as const;
  const socket = (await openSocket({ ...target, tls }, signal)) as TLSSocket;
  try {
    return socket.getPeerX509Certificate()?.fingerprint256 ?? null;
  } finally {
    socket.destroy();
  }
}
