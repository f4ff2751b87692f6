import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ComputeError } from '../core/errors.ts';
import type { PortHolds } from './port-holds.ts';
import type { Ports } from './state.ts';

/** Below the system's range of ports for outgoing connections, so that none of those can use the same port. */
export const preferred: Required<Ports> = {
  postgres: 25_432,
  externalHttp: 3080,
  internalHttp: 3081,
  pageserver: 25_433,
  safekeeper: 25_434,
  controlPlane: 25_435,
  dashboard: 3082,
};

/** True when no program listens on the port, on any of this machine's addresses. */
export async function isFree(port: number): Promise<boolean> {
  // Loopback too: a listener there does not prevent a listener on the wildcard address.
  return (await binds(port, '127.0.0.1')) && (await binds(port, undefined));
}

async function binds(port: number, host: string | undefined): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** The wished ports where they are free, else other free ones.
 *  @param reserved not to be chosen, although nobody may listen there now; asked once a port is held, so that it has what others have noted until then
 *  @param holds has them from then on; left out: somebody else may choose the same */
export async function choosePorts<Wished extends Partial<Ports>>(
  wished: Wished,
  reserved: () => ReadonlySet<number> = () => new Set(),
  holds: PortHolds | null = null,
): Promise<Wished> {
  const taken = new Set<number>();
  const chosen: [string, number][] = [];
  const use = async (port: number): Promise<boolean> => {
    if (taken.has(port) || (await holds?.take(port)) === false) return false;
    taken.add(port);
    if (!reserved().has(port) && (await isFree(port))) return true;
    await holds?.give(port);
    return false;
  };
  for (const [name, port] of Object.entries(wished))
    // 0 stands for none.
    chosen.push([name, port === 0 || (await use(port)) ? port : await anotherFree(use)]);
  return Object.fromEntries(chosen) as Wished;
}

/** Below the system's range of ports for outgoing connections: one of those may take a port of that range while its server
 *  does not run, and the server cannot start again. Random: those at the beginning may be in use. */
const searched = { from: 20_000, to: 32_000 } as const;
const attempts = 200;

async function anotherFree(use: (port: number) => Promise<boolean>): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(searched.from, searched.to);
    if (await use(port)) return port;
  }
  throw new ComputeError('port', `found no free port between ${searched.from} and ${searched.to}`, {
    hint: 'see what uses them: ss -ltnp',
  });
}

/** Before anything is created: a compute that cannot listen would be started three times. Only ports that clients know are not
 *  chosen anew.
 *  @param holds has them from then on
 *  @throws ComputeError `port` */
export async function refuseTaken(ports: Partial<Ports>, holds: PortHolds): Promise<void> {
  for (const [name, option] of Object.entries(options) as [keyof Ports, string][]) {
    const port = ports[name] ?? 0;
    const held = await holds.take(port);
    if (held && (port === 0 || (await isFree(port)))) continue;
    const who = held ? 'another program' : 'another compute-local';
    throw new ComputeError(
      'port',
      `${who} uses port ${port}, which is for ${uses[name].replace(/ \(.*/, '')}`,
      {
        hint: `stop that program (find it with: ss -ltnp), or choose another port with ${option} or --new-ports`,
      },
    );
  }
}

const options: Partial<Record<keyof Ports, string>> = {
  postgres: '--port',
  externalHttp: '--http-port',
  dashboard: '--dashboard-port',
};

const uses: { readonly [Name in keyof Ports]-?: string } = {
  postgres: 'Postgres (--port)',
  externalHttp: 'the HTTP API (--http-port)',
  internalHttp: 'the internal HTTP server',
  pageserver: 'the pageserver of the storage',
  safekeeper: 'the safekeeper of the storage',
  controlPlane: 'the control plane of the storage',
  dashboard: 'the dashboard (--dashboard-port)',
};

/** One port for two servers would later be reported as in use by another program.
 *  @throws ComputeError `usage` */
export function checkDistinct(ports: Partial<Ports>): void {
  const users = new Map<number, string>();
  for (const [name, port] of Object.entries(ports) as [keyof Ports, number][]) {
    if (port === 0) continue;
    const other = users.get(port);
    if (other !== undefined)
      throw new ComputeError('usage', `port ${port} cannot be for ${other} and ${uses[name]} at once`, {
        hint: 'choose another port with --port, --http-port or --dashboard-port',
      });
    users.set(port, uses[name]);
  }
}
