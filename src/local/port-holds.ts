import { once } from 'node:events';
import { type Server, createServer } from 'node:net';

/** Ports that this process has reserved against every other compute-local, so that two that start at the same moment never choose the
 *  same. Each is a name in the kernel's abstract namespace of sockets, which ends with its holder however that ends, and reaches
 *  as far as the ports themselves: the network namespace. The port stays free for the program that it is for. */
export class PortHolds {
  readonly #held = new Map<number, Server>();

  /** False when another compute-local has it. @param port 0 stands for none */
  async take(port: number): Promise<boolean> {
    if (port === 0 || this.#held.has(port)) return true;
    const server = createServer((socket) => socket.destroy());
    try {
      server.listen(`\0compute-local-port-${port}`);
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
      throw error;
    }
    this.#held.set(port, server.unref());
    return true;
  }

  async give(port: number): Promise<void> {
    const server = this.#held.get(port);
    if (server === undefined) return;
    this.#held.delete(port);
    const closed = once(server, 'close');
    server.close();
    await closed;
  }

  async release(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((port) => this.give(port)));
  }
}

/** Reserves ports for as long as `work` takes. */
export async function withHolds<T>(work: (holds: PortHolds) => Promise<T>): Promise<T> {
  const holds = new PortHolds();
  try {
    return await work(holds);
  } finally {
    await holds.release();
  }
}
