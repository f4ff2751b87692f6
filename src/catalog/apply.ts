import { elapsedMs, monotonicMs, withDeadline } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { PgClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { concurrencyOf } from './concurrency.ts';
import { endingStrangers } from './evict.ts';
import { endEarlier, inTurn } from './in-turn.ts';
import type { CatalogInput } from './input.ts';
import { inspectDatabases } from './inspect.ts';
import { observe } from './observe.ts';
import { major } from './observed.ts';
import type { Unit } from './phase.ts';
import { PassSessions } from './pass-sessions.ts';
import { type Plan, planCatalog } from './plan.ts';
import { CatalogFailure, type CatalogResult, type Outcome, type UnitFailure } from './result.ts';
import { run } from './run.ts';
import { openMainSession } from './first-superuser.ts';
import { type CatalogLimits, type SessionOptions, defaultLimits, passName } from './session.ts';
import { reopenLeft } from './set-aside.ts';
import { assertValid } from './validate.ts';

export interface CatalogDeps {
  readonly target: PgTarget;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Databases that are changed at the same time, 1 or more; the default depends on the spec and the stage. */
  readonly concurrency?: number;
  readonly limits?: Partial<CatalogLimits>;
  /** Work for the session of a successful pass, before the session ends. */
  readonly afterwards?: (main: PgClient, signal: AbortSignal) => Promise<void>;
}

/** Makes the server match the spec; sends no write when it already matches.
 *  @throws ComputeError `spec_invalid` before anything is sent, with every problem of the spec
 *  @throws ComputeError `catalog` for statements that would certainly fail, before the first write
 *  @throws CatalogFailure with phase, database, object and SQLSTATE of every failure, and the result so far
 *  @throws ComputeError `deadline` when the whole pass takes too long */
export async function applyCatalog(input: CatalogInput, deps: CatalogDeps): Promise<CatalogResult> {
  assertValid(input);
  const limits = { ...defaultLimits, ...deps.limits };
  return withDeadline('applying the spec to Postgres', limits.overallMs, deps.signal, (signal) =>
    inTurn(passName, deps.target, signal, () => pass(input, { ...deps, limits, signal })),
  );
}

type PassDeps = CatalogDeps & SessionOptions;

async function pass(input: CatalogInput, own: PassDeps): Promise<CatalogResult> {
  const { signal } = own;
  const startMs = monotonicMs();
  const sessions = new PassSessions(own, () => openMainSession(own, own.log));
  try {
    const main = await sessions.main();
    await endEarlier(main, own);
    await reopenLeft(main, own.log, signal);
    const found = await endingStrangers(main, own, () => observe(main, input));
    const known = { ...own, sessions, target: { ...own.target, major: major(found) } };
    const plan = planCatalog(input, await inspectDatabases(found, input, known));
    const result = await carryOut(plan, sessions, input, known, startMs);
    await own.afterwards?.(await sessions.main(), signal);
    sessions.close();
    return result;
  } catch (error) {
    sessions.destroy();
    signal.throwIfAborted();
    throw error;
  }
}

async function carryOut(
  plan: Plan,
  sessions: PassSessions,
  input: CatalogInput,
  deps: PassDeps,
  startMs: number,
): Promise<CatalogResult> {
  for (const { phase, object, reason, warn } of plan.skips) {
    deps.log[warn ? 'warn' : 'info']({ phase, object }, `left alone: ${reason}`);
  }
  for (const { phase, object, text } of plan.notes) deps.log.info({ phase, object }, text);
  const done = new Set<Unit>();
  const failures: UnitFailure[] = [];
  const resultSoFar = (): CatalogResult => ({
    outcomes: outcomes(plan, done, failures),
    statements: [...done].reduce((sum, unit) => sum + unit.statements.length, 0),
    durationMs: elapsedMs(startMs),
  });
  try {
    await run(plan.units, {
      sessions,
      target: deps.target,
      limits: deps.limits,
      signal: deps.signal,
      concurrency: Math.max(1, deps.concurrency ?? concurrencyOf(input)),
      systemDatabase: input.systemDatabase,
      skips: plan.skips,
      log: deps.log,
      done: (unit) => {
        done.add(unit);
        deps.log.debug({ phase: unit.phase, database: unit.database, object: unit.object }, unit.action);
      },
      failed: (failure) => void failures.push(failure),
    });
  } catch (error) {
    deps.signal.throwIfAborted();
    if (failures.length === 0) throw error;
    throw new CatalogFailure(failures, resultSoFar());
  }
  const result = resultSoFar();
  deps.log.info(
    { statements: result.statements, duration_ms: result.durationMs },
    result.statements === 0 ? 'the catalog is as the spec asks' : 'applied the spec to the catalog',
  );
  return result;
}

function outcomes(plan: Plan, done: ReadonlySet<Unit>, failures: readonly UnitFailure[]): Outcome[] {
  const failed = new Map(failures.map((failure) => [failure.unit, failure]));
  const skipped = plan.skips.map(({ phase, object, reason }): Outcome => {
    return { phase, database: null, object, action: '', result: 'skipped', reason, sqlState: null };
  });
  const ran = plan.units.map((unit): Outcome => {
    const { phase, database, object, action } = unit;
    const failure = failed.get(unit);
    if (failure === undefined) {
      const result = done.has(unit) ? 'done' : 'not reached';
      return { phase, database, object, action, result, reason: null, sqlState: null };
    }
    return { phase, database, object, action, result: 'failed', ...failure.why };
  });
  return [...skipped, ...ran];
}
