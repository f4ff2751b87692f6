import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { raceAbort } from '../core/clock.ts';
import type { PgTarget } from './target.ts';
import { tlsOptions } from './tls.ts';

/** The code 80877103 in a packet of eight bytes. @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Connects to the server of `target`, with the driver's encryption, without logging in. An abort destroys the socket with
 *  the signal's reason, also after this has resolved. The caller must destroy the socket.
 *  @throws Error of the system, of TLS, or the signal's reason */
export async function openSocket(target: PgTarget, signal: AbortSignal): Promise<Socket> {
  // Before the socket: nothing may be awaited between the server's answer and the handshake.
  const encrypt = target.tls === undefined ? null : await raceAbort(encryption(target, signal), signal);
  signal.throwIfAborted();
  const { host, port } = target;
  const socket = watch(
    host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect({ host, port, noDelay: true }),
    signal,
  );
  try {
    await once(socket, 'connect');
    return encrypt === null ? socket : await encrypt(socket);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function encryption(
  target: PgTarget,
  signal: AbortSignal,
): Promise<((plain: Socket) => Promise<Socket>) | null> {
  if (target.tls === undefined) return null;
  const options = await tlsOptions(target.tls, signal);
  const tls = await import('node:tls');
  return async (plain) => {
    plain.write(sslRequest);
    const [answer] = (await once(plain, 'data')) as [Buffer];
    // Exactly one byte: more unencrypted bytes could come from an attacker.
    if (answer.equals(Buffer.from('N'))) throw new Error('The server does not support SSL connections');
    if (!answer.equals(Buffer.from('S')))
      throw new Error('There was an error establishing an SSL connection');
    const secure = watch(tls.connect({ socket: plain, host: target.host, ...options }), signal);
    await once(secure, 'secureConnect');
    return secure;
  };
}

/** Handles the socket's errors, and destroys the socket with an error when it ends, so that each waiter is rejected. */
function watch(socket: Socket, signal: AbortSignal): Socket {
  const stop = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  return socket
    .on('error', () => {})
    .on('end', () => socket.destroy(new Error('the connection was closed')))
    .on('close', () => signal.removeEventListener('abort', stop));
}
