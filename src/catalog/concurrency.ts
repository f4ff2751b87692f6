import { setting } from '../spec/resolve.ts';
import type { CatalogInput } from './input.ts';

/** How many databases may be worked on at a time, 1 or more: at a start by the server's connection limit, while users
 *  are connected as the spec says. */
export function permits(input: CatalogInput): number {
  if (input.stage === 'reconfigure') return Math.max(1, input.spec.reconfigure_concurrency);
  return permitsFor(connectionLimit(input));
}

/** A third of the connections, within bounds that keep small servers usable and large ones calm. */
export function permitsFor(connections: number | null): number {
  if (connections === null) return 10;
  if (connections < 10) return Math.max(1, connections);
  return Math.min(100, Math.max(10, Math.floor(connections / 3)));
}

/** `max_connections` of the settings, else of the configuration text, where as in the server the last one counts. */
function connectionLimit({ spec }: CatalogInput): number | null {
  const own = setting(spec, 'max_connections');
  if (own !== null) return whole(own);
  const lines = (spec.cluster.postgresql_conf?.reveal() ?? '').split('\n');
  const found = lines.map((line) => /^\s*max_connections\s*=?\s*'?(\d+)'?\s*(?:#.*)?$/.exec(line)?.[1]);
  return whole(found.findLast((value) => value !== undefined) ?? '');
}

const whole = (text: string): number | null => (/^\s*\d+\s*$/.test(text) ? Number(text) : null);
