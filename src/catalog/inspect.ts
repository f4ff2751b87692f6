import { raceAbort } from '../core/clock.ts';
import type { ComputeError } from '../core/errors.ts';
import { destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { concurrencyOf } from './concurrency.ts';
import type { CatalogInput } from './input.ts';
import { needsInspection, readDatabaseState } from './database-state.ts';
import { endingStrangers } from './evict.ts';
import { workThrough } from '../core/queue.ts';
import type { DatabaseState, Observed } from './observed.ts';
import { readFailure, together } from './result.ts';
import type { PassSessions } from './pass-sessions.ts';
import { type CatalogLimits, closeSession } from './session.ts';

/** Connections to databases at the same time. */
const maxConcurrency = 4;

/** Adds to `observed` the state of those databases of the spec that may require a change: the shared catalogs alone
 *  cannot rule it out. */
export async function inspectDatabases(
  observed: Observed,
  input: CatalogInput,
  options: {
    sessions: PassSessions;
    target: PgTarget;
    limits: CatalogLimits;
    signal: AbortSignal;
    concurrency?: number;
    readOnly?: boolean;
    applicationName?: string;
  },
): Promise<Observed> {
  const open = input.spec.cluster.databases.filter(({ name }) => needsInspection(input, observed, name));
  if (open.length === 0) return observed;
  const states = new Map<string, DatabaseState>();
  const inspect = async (database: string, owner: string, signal: AbortSignal): Promise<DatabaseState> => {
    const client = await options.sessions.inDatabase({ ...options, database, signal });
    try {
      const read = (): Promise<DatabaseState> => readDatabaseState(client, input, observed, owner);
      const watched = endingStrangers(
        client,
        { ...options, signal, patience: 'endless', ...options.sessions.idle },
        read,
      );
      const found = await raceAbort(watched, signal);
      closeSession(client);
      return found;
    } catch (error) {
      destroyPg(client);
      throw error;
    }
  };
  const concurrency = Math.min(maxConcurrency, options.concurrency ?? concurrencyOf(input));
  const failures: ComputeError[] = [];
  const work = workThrough(open, concurrency, options.signal, async ({ name, owner }, _, signal) => {
    try {
      states.set(name, await inspect(name, owner, signal));
    } catch (error) {
      signal.throwIfAborted();
      failures.push(readFailure('inspect', name, error));
      throw error;
    }
  });
  await work.catch((error: unknown) => {
    throw failures.length === 0 ? error : together(failures);
  });
  return { ...observed, states };
}
