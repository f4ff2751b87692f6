import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';
import { traced } from '../telemetry/trace.ts';
import { workThrough } from '../core/queue.ts';
import { type EvictOptions, endingStrangers } from './evict.ts';
import { undisturbed } from './in-use.ts';
import type { Mode, Skip, Unit } from './phase.ts';
import type { PassSessions } from './pass-sessions.ts';
import { UnitFailure } from './result.ts';
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
  readonly systemDatabase: string;
  /** What of the plan is left alone: it may be the reason of a failure. */
  readonly skips: readonly Skip[];
  readonly done: (unit: Unit) => void;
  readonly failed: (failure: UnitFailure) => void;
}

/** Runs the units in order and stops at the first failure. Consecutive units of one mode share messages or run in
 *  parallel, as their mode allows.
 *  @throws the error that ended the run; failures of units were passed to `failed` before */
export async function run(units: readonly Unit[], options: RunOptions): Promise<void> {
  for (const group of groups(units)) await byMode[group[0]?.mode ?? 'batch'](group, options);
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
      transaction(client, units, signal, options),
    ),
  hash: (group, options) => {
    const concurrency = Math.min(hashConcurrency, 1 + options.concurrency);
    const size = Math.min(messageSize, Math.max(2, Math.ceil(group.length / (2 * concurrency))));
    return overSystemSessions(chunks(group, size), concurrency, options, (client, units, signal) =>
      transaction(client, units, signal, options),
    );
  },
  bare: (group, options) =>
    overSystemSessions(chunks(group, 1), 1, options, (client, [unit], signal) =>
      alone(client, unit as Unit, signal, options),
    ),
  create: (group, options) =>
    overSystemSessions(
      chunks(group, 1),
      Math.min(createConcurrency, 1 + options.concurrency),
      options,
      (client, [unit], signal) => alone(client, unit as Unit, signal, options),
    ),
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

const sessions = (group: readonly Unit[], concurrency: number, options: RunOptions): Promise<void> =>
  workThrough([...byDatabase(group)], concurrency, options.signal, ([database, units], _, signal) =>
    inSession(database, units, signal, options),
  );

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
    const patience = inSystemDatabase
      ? ({ patience: 'shared' } as const)
      : ({ patience: 'endless', ...options.sessions.idle } as const);
    await inSpan(units, () => endingStrangers(client, { ...options, signal, ...patience }, send));
    units.forEach(options.done);
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error;
    const owner = owners[Math.min(error.at, owners.length - 1)]?.unit ?? units[0];
    throw report(owner as Unit, error.cause, options);
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
    options.done(unit);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SendFailure) throw report(unit, error.cause, options);
    throw error instanceof ComputeError ? report(unit, error, options) : error;
  }
}

async function inSession(
  database: string | null,
  units: readonly Unit[],
  signal: AbortSignal,
  options: RunOptions,
): Promise<void> {
  const opening = options.sessions.inDatabase({ ...options, database, signal });
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

function report(unit: Unit, cause: unknown, options: RunOptions): UnitFailure {
  const failure = new UnitFailure(unit, cause, options.systemDatabase, options.skips);
  if (failure.why.sqlState === '57014') cancelled++;
  options.failed(failure);
  return failure;
}

/** Traces a message: the phase and the number of statements, never their text. */
function inSpan<T>(units: readonly Unit[], work: () => Promise<T>): Promise<T> {
  const phase = [...new Set(units.map((unit) => unit.phase))].join(', ');
  const statements = units.reduce((sum, unit) => sum + unit.statements.length, 0);
  return traced(`catalog ${phase}`, { phase, statements, database: units[0]?.database ?? '' }, work);
}
