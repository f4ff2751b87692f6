import { ComputeError } from '../../core/errors.ts';
import { Channel } from './channel.ts';
import { connectToPostgres } from './connect.ts';
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

/** Connects, and logs a client in whose password was checked before.
 *  @param startup its start-up packet, as it came
 *  @returns the connection, and AuthenticationOk, which is the first message that the client has not seen
 *  @throws Refused with the answer of Postgres; ComputeError `conflict` for anything else that it says; AbortError */
export async function openByKey(
  address: { readonly dir: string; readonly port: number },
  startup: Buffer,
  key: Buffer,
  signal: AbortSignal,
): Promise<{ readonly server: Channel; readonly ok: Buffer }> {
  const server = new Channel(await connectToPostgres(address, signal));
  try {
    return { server, ok: await logIn(server, startup, key, signal) };
  } catch (error) {
    server.socket.destroy();
    throw error;
  }
}

async function logIn(server: Channel, startup: Buffer, key: Buffer, signal: AbortSignal): Promise<Buffer> {
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
