import { raceAbort } from '../core/clock.ts';
import type { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { concurrencyOf } from './concurrency.ts';
import type { CatalogInput } from './input.ts';
import { endingStrangers } from './evict.ts';
import { needsInspection, readDatabaseState } from './database-state.ts';
import { workThrough } from '../core/queue.ts';
import type { DatabaseState, Observed } from './observed.ts';
import type { DatabaseLimits } from './database-limits.ts';
import { readFailure } from './result.ts';
import type { PassSessions } from './pass-sessions.ts';
import { closeSession } from './session.ts';

/** Connections to databases at the same time. */
const maxConcurrency = 4;

export interface Inspected {
  readonly observed: Observed;
  /** The databases that could not be inspected, and why. */
  readonly unreadable: ReadonlyMap<string, ComputeError>;
}

/** Adds to `observed` the state of those databases of the spec that may require a change: the shared catalogs alone
 *  cannot rule it out. */
export async function inspectDatabases(
  observed: Observed,
  input: CatalogInput,
  options: {
    sessions: PassSessions;
    target: PgTarget;
    databaseLimits: DatabaseLimits;
    crashOf?: (name: string) => ComputeError | undefined;
    signal: AbortSignal;
    concurrency?: number;
    readOnly?: boolean;
    applicationName?: string;
    log?: Log;
  },
): Promise<Inspected> {
  const open = input.spec.cluster.databases.filter((one) => needsInspection(input, observed, one));
  const unreadable = new Map<string, ComputeError>();
  if (open.length === 0) return { observed, unreadable };
  const states = new Map<string, DatabaseState>();
  const inspect = async (database: string, owner: string, signal: AbortSignal): Promise<DatabaseState> => {
    const { limits } = options.databaseLimits;
    const client = await options.sessions.inDatabase({ ...options, limits, database, signal });
    try {
      const read = (): Promise<DatabaseState> => readDatabaseState(client, input, observed, owner);
      const who = { patience: 'shared', sharedOnly: true, ...options.sessions.idle } as const;
      const found = await raceAbort(
        endingStrangers(client, { ...options, limits, signal, ...who }, read),
        signal,
      );
      closeSession(client);
      return found;
    } catch (error) {
      destroyPg(client);
      throw error;
    }
  };
  const concurrency = Math.min(maxConcurrency, options.concurrency ?? concurrencyOf(input));
  await workThrough(open, concurrency, options.signal, async ({ name, owner }, _, signal) => {
    const crash = options.crashOf?.(name);
    if (crash !== undefined) {
      unreadable.set(name, crash);
      return;
    }
    try {
      states.set(name, await options.databaseLimits.spend(() => inspect(name, owner, signal)));
    } catch (error) {
      signal.throwIfAborted();
      unreadable.set(name, readFailure('inspect', name, error));
    }
  });
  return { observed: { ...observed, states }, unreadable };
}
