import { once } from 'node:events';
import { createServer } from 'node:net';
import { ComputeError } from '../core/errors.ts';
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

const uses: { readonly [Name in keyof Ports]: string } = {
  postgres: 'Postgres (--port)',
  externalHttp: 'the HTTP API (--http-port)',
  internalHttp: 'the internal HTTP server',
  pageserver: 'the pageserver of the storage',
  safekeeper: 'the safekeeper of the storage',
  controlPlane: 'the control plane of the storage',
};

/** One port for two servers would later be reported as in use by another program.
 *  @throws ComputeError `usage` */
export function checkDistinct(ports: Ports): void {
  const users = new Map<number, string>();
  for (const [name, port] of Object.entries(ports) as [keyof Ports, number][]) {
    const other = users.get(port);
    if (other !== undefined)
      throw new ComputeError('usage', `port ${port} cannot be for ${other} and ${uses[name]} at once`, {
        hint: 'choose another port with --port or --http-port',
      });
    users.set(port, uses[name]);
  }
}
