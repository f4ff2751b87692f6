import { isIPv6 } from 'node:net';
import { ComputeError } from '../../core/errors.ts';

/** Where a collector of logs listens. */
export interface Endpoint {
  /** A host name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

const form = /^(?:\[(?<ipv6>[^\]]*)\]|(?<name>[^:[\]]*)):(?<port>\d{1,5})$/;
const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$/;
const largestPort = 65_535;

/** Reads `host:port`. The host is a name, an IPv4 address, or an IPv6 address in brackets.
 *  @param what names the value in the error
 *  @throws ComputeError `spec_invalid` */
export function parseEndpoint(text: string, what: string): Endpoint {
  const found = form.exec(text)?.groups;
  const { ipv6, name, port: digits } = found ?? {};
  const port = Number(digits);
  const host = ipv6 ?? name ?? '';
  const isHost = ipv6 === undefined ? hostName.test(host) : isIPv6(host) && !host.includes('%');
  if (isHost && port > 0 && port <= largestPort) return { host, port };
  throw new ComputeError('spec_invalid', `${what} is not an address: ${JSON.stringify(text.slice(0, 300))}`, {
    hint: 'write HOST:PORT, with a host name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535',
  });
}
