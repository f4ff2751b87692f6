import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Keeps a server below a number of connections: one more closes another, so that nobody is kept out by connections that ask
 *  nothing. Of those the oldest goes, of the address that has most of them; then of those that do not take their answers.
 *  Only when every connection is being served, the new one is closed.
 *  @param canUpgrade whether it also speaks another protocol. A listener alone would make Node offer one. */
export function limitConnections(server: Server, most: number, canUpgrade: boolean): void {
  const open = new Connections();
  server.on('connection', (socket) => {
    const isFull = open.size >= most;
    // First, since the new one is the last to go.
    if (isFull) (open.oldest(isIdle) ?? open.oldest(isUnread) ?? socket).destroy();
    if (!socket.destroyed) open.add(socket);
  });
  server.on('request', ({ socket }, outgoing) => {
    const found = open.of(socket);
    if (found !== undefined) found.last = outgoing;
  });
  if (!canUpgrade) return;
  server.on('upgrade', ({ socket }) => {
    const found = open.of(socket);
    if (found !== undefined) found.upgraded = true;
  });
}

interface Connection {
  readonly socket: Socket;
  /** The answer to its last request; null before the first one. */
  last: ServerResponse | null;
  /** It speaks another protocol, which has limits of its own. */
  upgraded: boolean;
}

const isIdle = ({ last, upgraded }: Connection): boolean =>
  !upgraded && (last === null || last.writableFinished || last.destroyed);
const isUnread = ({ socket, upgraded }: Connection): boolean => socket.writableLength > 0 && !upgraded;

class Connections {
  readonly #open = new Map<Socket, Connection>();

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket): void {
    this.#open.set(socket, { socket, last: null, upgraded: false });
    socket.once('close', () => this.#open.delete(socket));
  }

  of(socket: Socket): Connection | undefined {
    return this.#open.get(socket);
  }

  /** Of those that may go, the one that was opened first by the address that has most of them. */
  oldest(mayGo: (connection: Connection) => boolean): Socket | undefined {
    const byAddress = new Map<string, { readonly first: Socket; count: number }>();
    let most: { readonly first: Socket; count: number } | undefined;
    for (const connection of this.#open.values()) {
      const { socket } = connection;
      if (socket.destroyed || !mayGo(connection)) continue;
      const address = socket.remoteAddress ?? '';
      const found = byAddress.get(address) ?? { first: socket, count: 0 };
      byAddress.set(address, found);
      found.count++;
      if (most === undefined || found.count > most.count) most = found;
    }
    return most?.first;
  }
}
