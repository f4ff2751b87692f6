import type { Socket } from 'node:net';
import { withDeadline } from '../core/clock.ts';
import { ExtendedProtocol } from './extended.ts';
import { type WireHandlers, runStatement } from './handlers.ts';
import type { Inbox } from './inbox.ts';
import * as wire from './messages.ts';
import { WireSession } from './session.ts';

export interface WireLimits {
  /** Largest message of a client in bytes. */
  readonly maxMessageBytes: number;
  /** Milliseconds from connect to the end of the log-in. */
  readonly handshakeMs: number;
  /** Milliseconds a logged-in client may be silent between statements. */
  readonly idleMs: number;
  /** Milliseconds a client may leave an answer unread. */
  readonly stallMs: number;
}

export interface WireOptions extends WireHandlers {
  readonly limits?: Partial<WireLimits>;
  /** Sent after the log-in. */
  readonly serverParameters?: Readonly<Record<string, string>>;
}

export const defaultLimits: WireLimits = {
  maxMessageBytes: 1 << 20,
  handshakeMs: 10_000,
  idleMs: 600_000,
  stallMs: 300_000,
};

const defaultParameters = { client_encoding: 'UTF8', integer_datetimes: 'on', server_version: '14.1' };

const sslRequest = 80877103;
const gssEncRequest = 80877104;
const cancelRequest = 80877102;
const protocolMajor = 3;

/** Serves one client until it disconnects or breaks the protocol; then the caller closes the socket.
 *  @param signal aborts when the socket closes */
export async function serveConnection(
  socket: Socket,
  inbox: Inbox,
  options: WireOptions,
  busy: (now: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const limits = { ...defaultLimits, ...options.limits };
  try {
    const session = await withDeadline('the log-in', limits.handshakeMs, signal, (inTime) =>
      logIn(socket, inbox, options, limits, signal, inTime),
    );
    if (session === null) return;
    const extended = new ExtendedProtocol(session, options);
    for (;;) {
      const frame = await withDeadline('the next statement', limits.idleMs, signal, (inTime) =>
        inbox.next(false, inTime),
      );
      if (frame === null || frame.type === 'X') return;
      busy(true);
      if (frame.type === 'Q') {
        const [text] = wire.readCString(frame.body, 0);
        session.begin(false);
        await runStatement(session, options, text);
        await session.send(wire.readyForQuery());
      } else await extended.handle(frame);
      busy(false);
    }
  } catch (error) {
    if (error instanceof wire.ProtocolError) socket.write(wire.errorResponse('08P01', error.message));
    // All other errors: the client disconnected, stalled or was idle too long, and reads no answer any more.
  } finally {
    busy(false);
  }
}

async function logIn(
  socket: Socket,
  inbox: Inbox,
  options: WireOptions,
  limits: WireLimits,
  signal: AbortSignal,
  inTime: AbortSignal,
): Promise<WireSession | null> {
  const parameters = await startup(socket, inbox, inTime);
  if (parameters === null) return null;
  const session = new WireSession(socket, parameters, limits.stallMs, signal);
  const refused =
    (await options.onStartup?.(session)) ?? (await askPassword(socket, inbox, options, session, inTime));
  if (refused === 'left') return null;
  if (refused !== null) {
    socket.write(wire.errorResponse(refused.sqlstate, refused.message));
    return null;
  }
  await session.send(wire.authenticationOk());
  for (const [name, value] of Object.entries(options.serverParameters ?? defaultParameters)) {
    await session.send(wire.parameterStatus(name, value));
  }
  await session.send(wire.readyForQuery());
  return session;
}

/** Answers the requests that may come before the start-up packet. Null: the connection ends here. */
async function startup(
  socket: Socket,
  inbox: Inbox,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | null> {
  // A client asks for SSL and for GSS encryption once each at most.
  for (let requests = 0; requests <= 2; requests++) {
    const frame = await inbox.next(true, signal);
    if (frame === null) return null;
    const code = frame.body.readUInt32BE(0);
    if (code === cancelRequest) return null;
    if (code === sslRequest || code === gssEncRequest) socket.write('N');
    else if (code >>> 16 === protocolMajor) return wire.readStartup(frame.body);
    else throw new wire.ProtocolError(`protocol version ${code >>> 16}.${code & 0xffff}`);
  }
  throw new wire.ProtocolError('start of a connection: encryption was already refused');
}

async function askPassword(
  socket: Socket,
  inbox: Inbox,
  options: WireOptions,
  session: WireSession,
  signal: AbortSignal,
): Promise<wire.WireError | null | 'left'> {
  if (options.password === undefined) return null;
  socket.write(wire.authenticationCleartextPassword());
  const frame = await inbox.next(false, signal);
  if (frame === null) return 'left';
  if (frame.type !== 'p') throw new wire.ProtocolError(`message ${frame.type} instead of a password`);
  return options.password(wire.readCString(frame.body, 0)[0], session);
}
