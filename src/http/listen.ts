import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ComputeError } from '../core/errors.ts';

const noSuchFamily = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'find the program that uses the port (ss -ltnp) and stop it, or choose another port',
  EACCES: 'ports below 1024 require special rights: choose a higher port',
  EADDRNOTAVAIL: 'this machine does not have that address: choose another one',
};

/** `::` is every address of both families, also where there is no IPv6; `localhost` is the loopback of each family
 *  that exists. */
const candidates = (host: string): readonly string[] =>
  host === 'localhost' ? ['127.0.0.1', '::1'] : host === '::' ? ['::', '0.0.0.0'] : [host];

const fallsBack = (host: string): boolean => host === '::' || host === 'localhost';

export const showAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Binds a server made by `create` to every address that `host` stands for.
 *  @param port 0 lets the system choose; it is the same for all addresses
 *  @throws ComputeError `port`, with nothing left bound */
export async function listen(
  what: string,
  host: string,
  port: number,
  create: () => Server,
): Promise<{ servers: Server[]; addresses: string[]; port: number }> {
  const bound: { servers: Server[]; addresses: string[]; port: number } = {
    servers: [],
    addresses: [],
    port,
  };
  let missing: unknown;
  for (const address of candidates(host)) {
    if (host === '::' && bound.servers.length > 0) break;
    const server = create();
    try {
      bound.port = await bind(server, address, bound.port);
      bound.servers.push(server);
      bound.addresses.push(showAddress(address, bound.port));
    } catch (error) {
      missing = error;
      if (fallsBack(host) && noSuchFamily.includes(codeOf(error))) continue;
      for (const open of bound.servers) open.close();
      throw refused(what, address, port, error);
    }
  }
  if (bound.servers.length === 0) throw refused(what, host, port, missing);
  return bound;
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

function refused(what: string, host: string, port: number, cause: unknown): ComputeError {
  const code = codeOf(cause);
  const hint = hints[code];
  const message = `${what} cannot listen at ${showAddress(host, port)}`;
  return new ComputeError('port', message, hint === undefined ? { cause } : { cause, hint });
}

function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
