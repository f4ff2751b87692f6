import { within } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { retry } from '../core/retry.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import type { Observed } from './observed.ts';

/** In place of an attempt to connect. There are databases whose catalogs are so corrupt that a connection to them ends
 *  the whole server, which then starts again. */
export class DatabaseCrash extends ComputeError {
  /** @param cause the session's error; left out: it was not this database */
  constructor(name: string, cause?: unknown) {
    const shown = `database ${JSON.stringify(name)}`;
    const [message, hint] =
      cause === undefined
        ? [`${shown} is not connected to, because others made Postgres crash`, 'Restore those.']
        : [`a connection to ${shown} made Postgres crash`, 'Restore the database, or delete it.'];
    super('catalog', message, {
      cause,
      hint: `It is not connected to again before the next start of the compute. ${hint}`,
    });
    this.name = 'DatabaseCrash';
  }
}

/** Crashes of one process, after which no database is connected to any more: it is not known how many more there are. */
const maxCrashes = 3;
/** How long the server may take to notice that one of its processes has crashed, in milliseconds. */
const noticeMs = 1000;
const recoveryMs = 60_000;
const everyMs = 200;

/** The databases that are not connected to any more. Every client of the server would lose its connection each time. */
export class Crashes {
  readonly #byOid = new Map<number, DatabaseCrash>();
  #count = 0;

  /** @param names of the databases, by their names at that time */
  add(found: ReadonlyMap<string, ComputeError>, { databases }: Pick<Observed, 'databases'>): void {
    this.#count++;
    for (const [name, error] of found) {
      const oid = databases.get(name)?.oid;
      if (oid !== undefined) this.#byOid.set(oid, new DatabaseCrash(name, error));
    }
  }

  /** A session to the database made the server crash: it is not connected to any more.
   *  @param error with which that session ended */
  found(oid: number, name: string, error: ComputeError): void {
    this.#count++;
    this.#byOid.set(oid, new DatabaseCrash(name, error));
  }

  /** Whether the database is not connected to any more. */
  avoids(oid: number): boolean {
    return this.#count >= maxCrashes || this.#byOid.has(oid);
  }

  /** What an attempt to connect to a database throws without being made; undefined: it can be made. */
  of(name: string, { databases }: Pick<Observed, 'databases'>): ComputeError | undefined {
    const known = this.#byOid.get(databases.get(name)?.oid ?? 0);
    return known ?? (this.#count < maxCrashes ? undefined : new DatabaseCrash(name));
  }
}

/** The databases that may have made the server crash: those whose session ended with an internal error; otherwise those
 *  whose session ended without a word of the server. */
export function suspects(failed: ReadonlyMap<string, ComputeError>): Map<string, ComputeError> {
  const states = [...failed].map(([name, error]) => ({ name, error, state: sqlState(error) }));
  const certain = states.filter(({ error, state }) => state?.startsWith('XX') === true && !isKnown(error));
  const chosen = certain.length > 0 ? certain : states.filter(({ error }) => wasCutOff(error));
  return new Map(chosen.map(({ name, error }) => [name, error]));
}

/** Whether a session to the database may have made the server crash, by the error with which it ended: to be proved. */
export const mayBeCrash = (name: string, error: unknown): error is ComputeError =>
  error instanceof ComputeError && suspects(new Map([[name, error]])).has(name);

export function isKnown(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof DatabaseCrash) return true;
  return false;
}

function wasCutOff(error: unknown): boolean {
  if (sqlState(error) !== null || isKnown(error)) return false;
  for (let one = error; one instanceof Error; one = one.cause) {
    // Of a server that is starting again.
    if ((one as { code?: unknown }).code === 'ECONNREFUSED') return false;
  }
  return true;
}

/** Whether a connection ends within the time in which the server notices a crash. The others end with it. */
export const endsNow = async (ended: Promise<true>, signal: AbortSignal): Promise<boolean> =>
  (await within(ended, noticeMs, signal)) === true;

/** @see endsNow. To be called while the connection is alive. */
export const endOf = (client: PgClient): Promise<true> =>
  new Promise((resolve) => client.once('end', () => resolve(true)));

/** Whether the server has started again since then, without its postmaster: otherwise only connections were lost. */
export async function crashedSince(client: PgClient, { at }: Pick<Observed, 'at'>): Promise<boolean> {
  const text = `select exists (
    select from pg_catalog.pg_stat_activity a
    where a.backend_type = 'checkpointer' and a.backend_start > $1::pg_catalog.timestamptz) as crashed`;
  const { rows } = await client.query<{ crashed: boolean }>({ text, values: [at] });
  return rows[0]?.crashed === true;
}

/** Connects as soon as the server has recovered from a crash. */
export async function afterRecovery<T>(open: () => Promise<T>, log: Log, signal: AbortSignal): Promise<T> {
  const notYet = (error: unknown): boolean => {
    const state = sqlState(error);
    return state === null || state.startsWith('57P0');
  };
  const options = {
    what: 'the recovery of Postgres from its crash',
    totalMs: recoveryMs,
    pauseMs: () => everyMs,
    retryable: notYet,
    onRetry: ({ error }: { error: unknown }) =>
      log.debug(`Postgres has not recovered yet: ${explained(error)}`),
  };
  return retry(open, options, signal);
}
