import { isIP } from 'node:net';
import { ComputeError } from '../core/errors.ts';

export interface Listening {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** Reads `ip:port`, for IPv6 `[ip]:port`. Names are not resolved.
 *  @throws ComputeError `usage` */
export function parseAddress(text: string): Listening {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const family = bracketed === undefined ? 4 : 6;
  if (isIP(host) === family && port <= 65_535) return { host, port };
  throw new ComputeError('usage', `${JSON.stringify(text)} is not an address of the form ip:port`, {
    hint: 'for example 0.0.0.0:10301 or [::]:10301',
  });
}
