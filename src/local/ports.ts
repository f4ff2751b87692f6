import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Ports } from './state.ts';

/** Below the system's range of ports for outgoing connections, so that none of those can use the same port. */
const preferred: Ports = {
  postgres: 25_432,
  externalHttp: 3080,
  internalHttp: 3081,
  pageserver: 25_433,
  safekeeper: 25_434,
  controlPlane: 25_435,
};

/** True when no program listens on the port, on any of this machine's addresses. */
export async function isFree(port: number): Promise<boolean> {
  // Loopback too: a listener there does not prevent a listener on the wildcard address.
  return (await binds(port, '127.0.0.1')) !== null && (await binds(port, undefined)) !== null;
}

async function binds(port: number, host: string | undefined): Promise<number | null> {
  const server = createServer();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  } catch {
    return null;
  } finally {
    server.close();
  }
}

/** The preferred ports where they are free, else other free ones. */
export async function choosePorts(wished: Ports = preferred): Promise<Ports> {
  const taken = new Set<number>();
  const chosen: [string, number][] = [];
  for (const [name, port] of Object.entries(wished)) {
    let free = !taken.has(port) && (await isFree(port)) ? port : null;
    while (free === null || taken.has(free)) free = await binds(0, undefined);
    taken.add(free);
    chosen.push([name, free]);
  }
  return Object.fromEntries(chosen) as unknown as Ports;
}
