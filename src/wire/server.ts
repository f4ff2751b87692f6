import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { never } from '../core/abort.ts';
import { raceAbort, withDeadline } from '../core/clock.ts';
import { type WireOptions, defaultLimits, serveConnection } from './connection.ts';
import { Inbox } from './inbox.ts';

export type { WireHandlers } from './handlers.ts';
export type { WireLimits, WireOptions } from './connection.ts';
export { WireError, startupOptions } from './messages.ts';
export type { WireSession } from './session.ts';

export interface WireServer {
  /** Opens the port. Rejects with the system's error, e.g. EADDRINUSE. @param port 0 for any free one */
  listen(port: number, host: string): Promise<AddressInfo>;
  /** Stops accepting connections. Disconnects idle clients at once, the others when their statement ends or `signal` aborts.
   *  Resolves when all sockets are closed and all handlers have ended. */
  close(signal: AbortSignal): Promise<void>;
}

interface Client {
  readonly socket: Socket;
  readonly gone: AbortController;
  busy: boolean;
  done: Promise<void>;
}

/** Milliseconds for sending the last bytes. */
const flushMs = 2000;

/** Milliseconds that a handler may run after its client was disconnected, which its signal reports. */
const handlerGraceMs = 5000;

/** Waits until the last answer is sent, but only for `flushMs`, since the client may never read it. */
async function flushed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  socket.destroySoon();
  try {
    await withDeadline('the last answer', flushMs, never, (signal) => once(socket, 'close', { signal }));
  } finally {
    socket.destroy();
  }
}

/** A server for PostgreSQL's wire protocol (version 3, no TLS); `options.onQuery` answers the statements.
 *  @see https://www.postgresql.org/docs/current/protocol.html */
export function serveWire(options: WireOptions): WireServer {
  const clients = new Set<Client>();
  const maxMessageBytes = options.limits?.maxMessageBytes ?? defaultLimits.maxMessageBytes;
  let closing = false;
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    const client: Client = { socket, gone: new AbortController(), busy: false, done: Promise.resolve() };
    const left = (): void => client.gone.abort();
    socket.on('error', left).once('close', left).once('end', left);
    const busy = (now: boolean): void => {
      client.busy = now;
      if (closing && !now) socket.destroy();
    };
    clients.add(client);
    const inbox = new Inbox(socket, maxMessageBytes);
    client.done = serveConnection(socket, inbox, options, busy, client.gone.signal)
      .then(() => flushed(socket))
      .catch(() => {})
      .finally(() => clients.delete(client));
  });
  return {
    async listen(port, host) {
      server.listen(port, host);
      await once(server, 'listening');
      return server.address() as AddressInfo;
    },
    async close(signal) {
      closing = true;
      const closed = server.listening ? once(server, 'close') : Promise.resolve();
      if (server.listening) server.close();
      for (const { busy, socket } of clients) if (!busy) socket.destroy();
      const done = Promise.allSettled([...clients].map((client) => client.done));
      await raceAbort(done, signal).catch(() => {});
      for (const { socket } of clients) socket.destroy();
      await withDeadline('closing the connections', handlerGraceMs, never, async () => {
        await done;
        await closed;
      });
    },
  };
}
