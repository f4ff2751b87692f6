import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { concurrencyOf } from './concurrency.ts';
import { DatabaseLimits } from './database-limits.ts';
import { type EvictOptions, endingStrangers } from './evict.ts';
import type { CatalogInput } from './input.ts';
import { inspectDatabases } from './inspect.ts';
import { observe } from './observe.ts';
import { major } from './observed.ts';
import { type Plan, planCatalog } from './plan.ts';
import { Progress } from './progress.ts';
import { CatalogFailure, type CatalogResult, readFailure } from './result.ts';
import { run } from './run.ts';
import { openMainSession } from './first-superuser.ts';
import { type CatalogLimits, closeSession, defaultLimits, passLock } from './session.ts';
import { assertValid } from './validate.ts';

export interface CatalogDeps {
  readonly target: PgTarget;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Databases that are changed at the same time, 1 or more; the default depends on the spec and the stage. */
  readonly concurrency?: number;
  readonly limits?: Partial<CatalogLimits>;
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
  return withDeadline('applying the spec to Postgres', limits.overallMs, deps.signal, async (signal) => {
    const startMs = monotonicMs();
    const main = await openMainSession({ ...deps, limits, signal }, deps.log);
    try {
      const own = { ...deps, limits, signal };
      await lock(main, input, own);
      const found = await endingStrangers(main, own, () => observe(main, input));
      const databaseLimits = new DatabaseLimits(limits);
      const target = { ...deps.target, major: major(found) };
      const known = { ...deps, limits, databaseLimits, signal, target };
      const inspected = await inspectDatabases(found, input, known);
      const plan = planCatalog(input, inspected.observed);
      const progress = new Progress(plan, input.systemDatabase, inspected.unreadable);
      await carryOut(plan, progress, main, input, { ...known, startMs });
      const result = progress.result(elapsedMs(startMs));
      await deps.afterwards?.(main, signal);
      closeSession(main);
      if (progress.failures.length > 0) throw failureOf(progress, startMs, true);
      deps.log.info(
        { statements: result.statements, duration_ms: result.durationMs },
        result.statements === 0 ? 'the catalog is as the spec asks' : 'applied the spec to the catalog',
      );
      return result;
    } catch (error) {
      destroyPg(main);
      signal.throwIfAborted();
      throw error;
    }
  });
}

async function lock(main: PgClient, input: CatalogInput, options: EvictOptions): Promise<void> {
  try {
    await endingStrangers(main, options, () => main.query(passLock));
  } catch (error) {
    throw readFailure('wait-for-other-pass', input.systemDatabase, error);
  }
}

async function carryOut(
  plan: Plan,
  progress: Progress,
  main: PgClient,
  input: CatalogInput,
  deps: CatalogDeps & {
    readonly limits: CatalogLimits;
    readonly databaseLimits: DatabaseLimits;
    readonly startMs: number;
  },
): Promise<void> {
  const { log } = deps;
  for (const { phase, object, reason, warn } of plan.skips) {
    log[warn ? 'warn' : 'info']({ phase, object }, `left alone: ${reason}`);
  }
  for (const { phase, object, text } of plan.notes) log.info({ phase, object }, text);
  const concurrency = Math.max(1, deps.concurrency ?? concurrencyOf(input));
  try {
    await run(plan.units, { ...deps, main, concurrency, progress });
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
