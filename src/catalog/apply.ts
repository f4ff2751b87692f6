import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { PgClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { explained, type ComputeError } from '../core/errors.ts';
import { concurrencyOf } from './concurrency.ts';
import { Crashes, afterRecovery, crashedSince, endOf, endsNow, suspects } from './crash.ts';
import { DatabaseLimits } from './database-limits.ts';
import { endStarting } from './end-starting.ts';
import { endingStrangers } from './evict.ts';
import { endEarlier, inTurn } from './in-turn.ts';
import type { CatalogInput } from './input.ts';
import { inspectDatabases } from './inspect.ts';
import { observe } from './observe.ts';
import { type Observed, major } from './observed.ts';
import { type Plan, planCatalog } from './plan.ts';
import { Progress } from './progress.ts';
import { CatalogFailure, type CatalogResult } from './result.ts';
import { type RunOptions, run } from './run.ts';
import { openMainSession } from './first-superuser.ts';
import { PassSessions } from './pass-sessions.ts';
import { type CatalogLimits, defaultLimits, passName } from './session.ts';
import { reopenLeft } from './set-aside.ts';
import { assertValid } from './validate.ts';

export interface CatalogDeps {
  readonly target: PgTarget;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Databases that are changed at the same time, 1 or more; the default depends on the spec and the stage. */
  readonly concurrency?: number;
  readonly limits?: Partial<CatalogLimits>;
  /** What the process knows from earlier passes, and what it learns. */
  readonly crashes?: Crashes;
  /** Work for the session of a pass that came to its end, before the session ends. */
  readonly afterwards?: (main: PgClient, signal: AbortSignal) => Promise<void>;
}

/** Makes the server match the spec; sends no write when it already matches.
 *  @throws ComputeError `spec_invalid` before anything is sent, with every problem of the spec
 *  @throws ComputeError `catalog` for statements that would certainly fail, before the first write
 *  @throws CatalogFailure with phase, database, object and SQLSTATE of every failure, and the result so far. What failed
 *  in single databases does not keep the rest from being done
 *  @throws ComputeError `deadline` when the whole pass takes too long */
export async function applyCatalog(input: CatalogInput, deps: CatalogDeps): Promise<CatalogResult> {
  assertValid(input);
  const limits = { ...defaultLimits, ...deps.limits };
  return withDeadline('applying the spec to Postgres', limits.overallMs, deps.signal, (signal) =>
    inTurn(passName, deps.target, signal, () => {
      const crashes = deps.crashes ?? new Crashes();
      return passes(input, { ...deps, crashes, limits, signal, startMs: monotonicMs() });
    }),
  );
}

/** One pass; after a crash of the server another one. */
async function passes(input: CatalogInput, own: OwnDeps): Promise<CatalogResult> {
  const { crashes, log, signal } = own;
  const fresh = (): PassSessions => new PassSessions(own, () => openMainSession(own, log));
  for (let sessions = fresh(); ;) {
    let crashed: Crashed;
    try {
      return await onePass(sessions, input, own);
    } catch (error) {
      sessions.destroy();
      signal.throwIfAborted();
      if (!(error instanceof Crashed)) throw error;
      crashed = error;
    }
    sessions = fresh();
    const main = await afterRecovery(() => sessions.main(), log, signal);
    const { suspected, observed, cause } = crashed;
    if (!(await crashedSince(main, observed))) {
      sessions.close();
      throw cause;
    }
    crashes.add(suspected, observed);
    const names = [...suspected.keys()].map((name) => JSON.stringify(name)).join(', ');
    log.error(`Postgres crashed; the catalog pass begins anew, without ${names}: ${explained(cause)}`);
  }
}

/** The server may have crashed during a pass. */
class Crashed extends Error {
  readonly suspected: ReadonlyMap<string, ComputeError>;
  readonly observed: Observed;

  /** @param cause what the pass throws if it was no crash */
  constructor(suspected: Crashed['suspected'], observed: Observed, cause: unknown) {
    super('a pass lost its connections', { cause });
    this.suspected = suspected;
    this.observed = observed;
  }
}

type OwnDeps = CatalogDeps & {
  readonly crashes: Crashes;
  readonly limits: CatalogLimits;
  readonly startMs: number;
};

/** @throws Crashed when connections were lost, maybe because of certain databases */
async function onePass(sessions: PassSessions, input: CatalogInput, own: OwnDeps): Promise<CatalogResult> {
  const { crashes, limits, log, signal, startMs } = own;
  const main = await sessions.main();
  const ended = endOf(main);
  // A server that has just started has no session of an earlier pass.
  if (input.stage !== 'start') await endEarlier(main, own);
  await reopenLeft(main, log, signal);
  const found = await endingStrangers(main, own, () => observe(main, input));
  const crashOf = (name: string): ComputeError | undefined => crashes.of(name, found);
  const target = { ...own.target, major: major(found) };
  const known = { ...own, sessions, databaseLimits: new DatabaseLimits(limits), crashOf, target };
  const inspected = await inspectDatabases(found, input, known);
  const plan = planCatalog(input, inspected.observed);
  const progress = new Progress(plan, input.systemDatabase, inspected.unreadable);
  const throwIfCrashed = async (cause: unknown): Promise<void> => {
    const suspected = suspects(progress.errors);
    if (suspected.size === 0 || !(await endsNow(ended, signal))) return;
    throw new Crashed(suspected, found, cause);
  };
  try {
    await carryOut(plan, progress, input, known);
    await throwIfCrashed(failureOf(progress, startMs, false));
    await endStarting(sessions, progress.errors, log);
    await own.afterwards?.(await sessions.main(), signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Crashed)) await throwIfCrashed(error);
    throw error;
  }
  sessions.close();
  if (progress.failures.length > 0) throw failureOf(progress, startMs, true);
  const result = progress.result(elapsedMs(startMs));
  log.info(
    { statements: result.statements, duration_ms: result.durationMs },
    result.statements === 0 ? 'the catalog is as the spec asks' : 'applied the spec to the catalog',
  );
  return result;
}

async function carryOut(
  plan: Plan,
  progress: Progress,
  input: CatalogInput,
  deps: OwnDeps & Pick<RunOptions, 'databaseLimits' | 'crashOf' | 'sessions'>,
): Promise<void> {
  const { log } = deps;
  for (const { phase, object, reason, warn } of plan.skips) {
    log[warn ? 'warn' : 'info']({ phase, object }, `left alone: ${reason}`);
  }
  for (const { phase, object, text } of plan.notes) log.info({ phase, object }, text);
  const concurrency = Math.max(1, deps.concurrency ?? concurrencyOf(input));
  try {
    await run(plan.units, { ...deps, concurrency, progress });
  } catch (error) {
    deps.signal.throwIfAborted();
    if (!progress.ended) throw error;
    throw failureOf(progress, deps.startMs, false);
  }
}

const failureOf = (progress: Progress, startMs: number, onlyDatabases: boolean): CatalogFailure =>
  new CatalogFailure(progress.failures, {
    result: progress.result(elapsedMs(startMs)),
    databases: progress.databases,
    remainder: progress.remainder,
    onlyDatabases,
  });
