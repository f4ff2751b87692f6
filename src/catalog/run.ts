import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';
import { traced } from '../telemetry/trace.ts';
import { workThrough } from '../core/queue.ts';
import { type EvictOptions, endingStrangers } from './evict.ts';
import { undisturbed } from './in-use.ts';
import type { Mode, Unit } from './phase.ts';
import type { PassSessions } from './pass-sessions.ts';
import type { DatabaseLimits } from './database-limits.ts';
import type { Progress } from './progress.ts';
import type { UnitFailure } from './result.ts';
import { SendFailure, sendAlone, sendTransaction } from './send.ts';
import { closeSession } from './session.ts';

/** The largest number of statements in one message. */
const messageSize = 50;
/** Connections on which the server hashes or copies at the same time; more than its cores would not be faster. */
const hashConcurrency = 2;
const createConcurrency = 2;
/** A session's cost is mostly the server's work for the new connection. */
const sessionConcurrency = 4;

export interface RunOptions extends Omit<EvictOptions, 'database' | 'patience' | 'watcher'> {
  readonly log: Log;
  readonly sessions: PassSessions;
  /** Connections to databases at the same time, 1 or more, without the main session. */
  readonly concurrency: number;
  readonly progress: Progress;
  readonly databaseLimits: DatabaseLimits;
  /** Why a database is not connected to. */
  readonly crashOf: (name: string) => ComputeError | undefined;
}

/** Runs the units in order. Consecutive units of one mode share messages or run in parallel, as their mode allows. A
 *  failure that is about one database leaves out what depends on it; any other stops the run.
 *  @throws the error that ended the run; `progress` has the failures of the units */
export async function run(units: readonly Unit[], options: RunOptions): Promise<void> {
  for (const group of groups(units)) {
    const possible = group.filter((unit) => options.progress.possible(unit));
    if (possible.length > 0) await byMode[group[0]?.mode ?? 'batch'](possible, options);
  }
}

function groups(units: readonly Unit[]): Unit[][] {
  const found: Unit[][] = [];
  for (const unit of units) {
    const last = found.at(-1);
    if (last?.[0]?.mode === unit.mode) last.push(unit);
    else found.push([unit]);
  }
  return found;
}

type RunMode = (group: readonly Unit[], options: RunOptions) => Promise<void>;

const byMode: Record<Mode, RunMode> = {
  batch: (group, options) =>
    overSystemSessions(chunks(group, messageSize), 1, options, (client, units, signal) =>
      goingOn(units, options, (left) => transaction(client, left, signal, options)),
    ),
  hash: (group, options) => {
    const concurrency = Math.min(hashConcurrency, 1 + options.concurrency);
    const size = Math.min(messageSize, Math.max(2, Math.ceil(group.length / (2 * concurrency))));
    return overSystemSessions(chunks(group, size), concurrency, options, (client, units, signal) =>
      transaction(client, units, signal, options),
    );
  },
  bare: (group, options) => eachAlone(group, 1, options),
  create: (group, options) => eachAlone(group, Math.min(createConcurrency, 1 + options.concurrency), options),
  session: (group, options) => sessions(group, Math.min(sessionConcurrency, options.concurrency), options),
  'session-in-turn': (group, options) => sessions(group, 1, options),
};

/** Works over several sessions in the system database, each with one job at a time. */
async function overSystemSessions(
  jobs: readonly (readonly Unit[])[],
  concurrency: number,
  options: RunOptions,
  work: (client: PgClient, units: readonly Unit[], signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const opening = options.sessions.several(Math.min(concurrency, jobs.length));
  const clients = await opened(opening, jobs[0] ?? [], options);
  await workThrough(jobs, clients.length, options.signal, (units, worker, signal) =>
    work(clients[worker] as PgClient, units, signal),
  );
}

const eachAlone = (group: readonly Unit[], concurrency: number, options: RunOptions): Promise<void> =>
  overSystemSessions(chunks(group, 1), concurrency, options, (client, units, signal) =>
    goingOn(units, options, async ([unit]) => alone(client, unit as Unit, signal, options)),
  );

const sessions = (group: readonly Unit[], concurrency: number, options: RunOptions): Promise<void> =>
  workThrough([...byDatabase(group)], concurrency, options.signal, ([database, units], _, signal) =>
    goingOn(units, options, (left) =>
      options.databaseLimits.spend(() => inSession(database, left, signal, options)),
    ),
  );

/** Does what is possible of the units, after a failure that is about one database without what is about it. */
async function goingOn(
  units: readonly Unit[],
  { progress, signal }: RunOptions,
  work: (left: readonly Unit[]) => Promise<void>,
): Promise<void> {
  for (let left = units; ;) {
    left = left.filter((unit) => !progress.isDone(unit) && progress.possible(unit));
    if (left.length === 0) return;
    try {
      return await work(left);
    } catch (error) {
      signal.throwIfAborted();
      if (!progress.goesOn(error)) throw error;
    }
  }
}

function chunks(units: readonly Unit[], size: number): Unit[][] {
  const count = Math.ceil(units.length / size);
  return Array.from({ length: count }, (_, at) => units.slice(at * size, (at + 1) * size));
}

function byDatabase(units: readonly Unit[]): Map<string | null, Unit[]> {
  const found = new Map<string | null, Unit[]>();
  for (const unit of units) found.set(unit.database, [...(found.get(unit.database) ?? []), unit]);
  return found;
}

async function transaction(
  client: PgClient,
  units: readonly Unit[],
  signal: AbortSignal,
  options: RunOptions,
): Promise<void> {
  const owners = units.flatMap((unit) => unit.statements.map((statement) => ({ unit, statement })));
  try {
    const statements = owners.map(({ statement }) => statement);
    const send = (): Promise<void> => sendTransaction(client, statements, signal);
    const inSystemDatabase = (units[0]?.database ?? null) === null;
    const who = inSystemDatabase ? {} : { sharedOnly: true, ...options.sessions.idle };
    await inSpan(units, () =>
      endingStrangers(client, { ...options, signal, patience: 'shared', ...who }, send),
    );
    units.forEach((unit) => options.progress.done(unit));
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error;
    const owner = owners[Math.min(error.at, owners.length - 1)]?.unit ?? units[0];
    throw report(owner as Unit, error, options);
  }
}

async function alone(client: PgClient, unit: Unit, signal: AbortSignal, options: RunOptions): Promise<void> {
  try {
    const own = { ...options, signal };
    const send = async (): Promise<void> => {
      for (const statement of unit.statements) await sendAlone(client, statement, signal);
    };
    const { alone: use } = unit;
    const work = use === undefined ? send : () => undisturbed(client, use, own, send);
    await inSpan([unit], () => endingStrangers(client, { ...own, patience: 'shared' }, work));
    options.progress.done(unit);
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error;
    throw report(unit, error, options);
  }
}

async function inSession(
  database: string | null,
  units: readonly Unit[],
  signal: AbortSignal,
  options: RunOptions,
): Promise<void> {
  const { limits } = options.databaseLimits;
  const crash = database === null ? undefined : options.crashOf(database);
  const opening =
    crash === undefined
      ? options.sessions.inDatabase({ ...options, limits, database, signal })
      : Promise.reject(crash);
  const client = await opened(opening, units, options);
  try {
    for (const unit of units) await transaction(client, [unit], signal, options);
    closeSession(client);
  } catch (error) {
    destroyPg(client);
    throw error;
  }
}

/** A connection that cannot be opened counts as a failure of the unit that requires it. */
async function opened<T>(opening: Promise<T>, units: readonly Unit[], options: RunOptions): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error;
    throw report(units[0] as Unit, error, options);
  }
}

let cancelled = 0;

/** This process's statements that the server canceled, for example at their timeout (SQLSTATE 57014). */
export const statementsCancelled = (): number => cancelled;

function report(unit: Unit, error: SendFailure | ComputeError, { progress }: RunOptions): UnitFailure {
  const sent = error instanceof SendFailure;
  // Without a connection to the system database nothing goes on.
  const endsPass = unit.database === null && !(sent && error.usable);
  const failure = progress.failed(unit, sent ? error.cause : error, endsPass);
  if (failure.why.sqlState === '57014') cancelled++;
  return failure;
}

/** Traces a message: the phase and the number of statements, never their text. */
function inSpan<T>(units: readonly Unit[], work: () => Promise<T>): Promise<T> {
  const phase = [...new Set(units.map((unit) => unit.phase))].join(', ');
  const statements = units.reduce((sum, unit) => sum + unit.statements.length, 0);
  return traced(`catalog ${phase}`, { phase, statements, database: units[0]?.database ?? '' }, work);
}
