import { ComputeError } from '../../core/errors.ts';
import type { Channel } from './channel.ts';
import { auth, authKind, saslInitial, saslResponse } from './messages.ts';
import { KeyLogin, mechanism } from './scram.ts';

/** Postgres refused the log-in: its own message, for the client. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly raw: Buffer;

  constructor(raw: Buffer) {
    super('Postgres refused the log-in');
    this.raw = raw;
  }
}

/** Logs a client in whose password was checked before, up to AuthenticationOk, which is the first message that the client has not
 *  seen.
 *  @param startup its start-up packet, as it came
 *  @returns AuthenticationOk
 *  @throws Refused with the answer of Postgres; ComputeError `conflict` for anything else that it says */
export async function logInByKey(
  server: Channel,
  startup: Buffer,
  key: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  const login = new KeyLogin(key);
  server.socket.write(startup);
  for (;;) {
    const packet = await server.next(false, signal);
    if (packet === null) throw new ComputeError('conflict', 'Postgres closed the connection in the log-in');
    if (packet.type === 'E') throw new Refused(packet.raw);
    // The client was told which protocol it gets.
    if (packet.type === 'v' || packet.type === 'N') continue;
    const kind = packet.type === 'R' ? authKind(packet.body) : -1;
    if (kind === auth.ok) return packet.raw;
    if (kind === auth.sasl) server.socket.write(saslInitial(mechanism, login.first()));
    else if (kind === auth.saslContinue)
      server.socket.write(saslResponse(login.final(packet.body.toString('utf8', 4))));
    else if (kind !== auth.saslFinal)
      throw new ComputeError(
        'conflict',
        `Postgres asked for something else than a password (${packet.type})`,
      );
  }
}
