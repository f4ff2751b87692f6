import { serverSetting } from '../postgres/server-setting.ts';
import type { CatalogInput } from './input.ts';

/** How many databases may be worked on at a time, 1 or more: at a start by the server's connection limit, while users
 *  are connected as the spec says. */
export function concurrencyOf(input: CatalogInput): number {
  if (input.stage === 'reconfigure') return Math.max(1, input.spec.reconfigure_concurrency);
  return concurrencyFor(connectionLimit(input));
}

/** A third of the connections, within bounds that keep small servers usable and large ones calm. */
export function concurrencyFor(connections: number | null): number {
  if (connections === null) return 10;
  if (connections < 10) return Math.max(1, connections);
  return Math.min(100, Math.max(10, Math.floor(connections / 3)));
}

const connectionLimit = ({ spec }: CatalogInput): number | null =>
  whole(serverSetting(spec, 'max_connections') ?? '');

const whole = (text: string): number | null => (/^\s*\d+\s*$/.test(text) ? Number(text) : null);
