import { serverSetting } from '../postgres/server-setting.ts';
import type { CatalogInput } from './input.ts';

/** How many databases may be changed at the same time, 1 or more: at a start it depends on the server's connection
 *  limit; later, while users are connected, the spec sets it. */
export function concurrencyOf(input: CatalogInput): number {
  if (input.stage === 'reconfigure') return Math.max(1, input.spec.reconfigure_concurrency);
  return concurrencyFor(connectionLimit(input));
}

/** A third of the connections, with a lower limit for small servers and an upper limit for large ones. */
export function concurrencyFor(connections: number | null): number {
  if (connections === null) return 10;
  if (connections < 10) return Math.max(1, connections);
  return Math.min(100, Math.max(10, Math.floor(connections / 3)));
}

const connectionLimit = ({ spec }: CatalogInput): number | null =>
  whole(serverSetting(spec, 'max_connections') ?? '');

const whole = (text: string): number | null => (/^\s*\d+\s*$/.test(text) ? Number(text) : null);
