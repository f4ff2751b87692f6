import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

export interface CuttingProxy {
  readonly port: number;
  /** Queries and parse messages that came by. */
  readonly seen: number;
  readonly cut: boolean;
  close(): Promise<void>;
}

/** A TCP proxy in front of a server that cuts all connections at the `at`-th query: before the server sees it, or
 *  after it went through, as the answer comes back. */
export async function cuttingProxy(
  serverPort: number,
  at: number,
  when: 'before' | 'after',
): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let seen = 0;
  let cut = false;
  const cutAll = (): void => {
    cut = true;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => void sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    let armed = false;
    client.on('data', (data) => {
      // The driver writes each message, or the batch of an extended query, in one go.
      if (data[0] === 0x51 || data[0] === 0x50) {
        seen++;
        if (seen === at && when === 'before') return cutAll();
        if (seen === at) armed = true;
      }
      upstream.write(data);
      return undefined;
    });
    upstream.on('data', (data) => {
      if (armed) cutAll();
      else client.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get seen() {
      return seen;
    },
    get cut() {
      return cut;
    },
    async close() {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}
