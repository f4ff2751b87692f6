import type { PgTarget } from '../pg/target.ts';
import { permits } from './concurrency.ts';
import type { CatalogInput } from './input.ts';
import { needsLook, observeInside } from './inside.ts';
import { inLanes } from './lanes.ts';
import type { Inside, Observed } from './observed.ts';
import { type CatalogLimits, closeSession, openSession } from './session.ts';

/** Connections to databases at a time. */
const width = 4;

/** Completes what was observed with a look into those databases of the spec where the shared catalogs leave it open
 *  whether something is to be done. */
export async function lookInside(
  observed: Observed,
  input: CatalogInput,
  options: {
    target: PgTarget;
    limits: CatalogLimits;
    signal: AbortSignal;
    concurrency?: number;
    readOnly?: boolean;
  },
): Promise<Observed> {
  const open = input.spec.cluster.databases.filter(({ name }) => {
    const database = observed.databases.get(name);
    return database !== undefined && needsLook(input, observed, database);
  });
  if (open.length === 0) return observed;
  const inside = new Map<string, Inside>();
  const lanes = Math.min(width, options.concurrency ?? permits(input));
  await inLanes(open, lanes, options.signal, async ({ name, owner }, _, signal) => {
    const client = await openSession({ ...options, database: name, signal });
    try {
      inside.set(name, await observeInside(client, input, observed, owner));
    } finally {
      closeSession(client);
    }
  });
  return { ...observed, inside };
}
