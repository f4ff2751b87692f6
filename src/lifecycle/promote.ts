import { never } from '../core/abort.ts';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Failpoints } from '../core/failpoints.ts';
import { type Lsn, formatLsn, parseLsn } from '../core/lsn.ts';
import { poll } from '../core/poll.ts';
import type { PgClient } from '../pg/client.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { writeConfigFiles } from './config-files.ts';
import { type StartContext, pathOf } from './context.ts';
import type { LfcApi } from '../services/file-cache/api.ts';
import { withOwnPg } from '../database/own-sql.ts';
import { firstConfiguration, reload as reloadOf, withSpec } from './reconfigure.ts';
import { runSteps, step } from './steps.ts';
import { forgetEarlierConf, keepEarlierConf } from './earlier-conf.ts';
import { takeEffect } from './take-effect.ts';

/** The values that the steps of a promotion pass to each other, besides those of every operation. `spec` is the replica's. */
export interface PromotionContext extends StartContext {
  readonly next: ResolvedSpec;
  /** The end of the former primary's WAL. */
  readonly wanted: Lsn;
  /** Makes `next` the current spec. */
  readonly acceptSpec: () => Promise<void>;
  readonly lfc: Pick<LfcApi, 'prewarmState'>;
  readonly failpoints: Failpoints;
  /** Milliseconds of each finished step. */
  readonly took: Map<string, number>;
}

/** Promotes a running replica to primary. Every step can be repeated after a later one failed. */
export const promotion = [
  step('check-prewarm', checkPrewarm),
  step('wait-for-lsn', waitForLsn), // all of the former primary's WAL has been replayed
  step('write-config', writeConfig, restoreConfig), // safekeepers, synchronous_standby_names
  step('reload', reload),
  step('pg-promote', pgPromote),
  step('take-spec', takeSpec), // from here on the compute counts as a primary
  step('reconfigure', reconfigure),
] as const;

const lookMs = 100;
/** As long as the 20 retries in the error message, which were a second apart in the original. */
const catchUpMs = 20_000;
const restoreMs = 10_000;
const promoteSeconds = 60;

function withReplica<T>(
  { settings }: PromotionContext,
  signal: AbortSignal,
  work: (pg: PgClient) => Promise<T>,
): Promise<T> {
  const statementMs = (promoteSeconds + 10) * 1000;
  return withOwnPg({ target: settings.target, name: 'promote', statementMs }, signal, work);
}

/** A replica without the extension has no file cache to prewarm. */
function checkPrewarm(context: PromotionContext, signal: AbortSignal): Promise<void> {
  const { lfc } = context;
  const { status } = lfc.prewarmState();
  if (status !== 'not_prewarmed' && status !== 'prewarming') return Promise.resolve();
  return withReplica(context, signal, async (pg) => {
    const { rows } = await pg.query<{ loaded: boolean }>(
      `select 'neon' = any(pg_catalog.regexp_split_to_array(
         pg_catalog.current_setting('shared_preload_libraries'), '[\\s",]+')) as loaded`,
    );
    if (rows[0]?.loaded !== true) return;
    const state = status === 'prewarming' ? 'Prewarming' : 'NotPrewarmed';
    throw new ComputeError('conflict', `compute ${state}`, { hint: 'prewarm it first: POST /lfc/prewarm' });
  });
}

async function waitForLsn(context: PromotionContext, signal: AbortSignal): Promise<void> {
  let replayed: Lsn | null = null;
  const caughtUp = await withReplica(context, signal, (pg) =>
    poll(
      async () => {
        const { rows } = await pg.query<{ done: boolean; lsn: string | null }>(
          `select not pg_catalog.pg_is_in_recovery() as done, pg_catalog.pg_last_wal_replay_lsn()::text as lsn`,
        );
        replayed = parseLsn(rows[0]?.lsn ?? '');
        return rows[0]?.done === true || (replayed !== null && replayed >= context.wanted) ? true : null;
      },
      { everyMs: lookMs, limitMs: catchUpMs },
      signal,
    ),
  );
  if (caughtUp !== null) return;
  const where = replayed === null ? 'nothing' : formatLsn(replayed);
  const wanted = formatLsn(context.wanted);
  throw new ComputeError(
    'deadline',
    `didn't catch up with primary in 20 retries: replayed ${where}, wanted ${wanted}`,
  );
}

/** Writes the whole file instead of single settings by ALTER SYSTEM, which would override every later spec. */
function writeConfig(context: PromotionContext): Promise<void> {
  const { settings, next, log } = context;
  const options = { pgdata: pathOf(context), subscriptionsDropped: true, log };
  keepEarlierConf(context);
  return writeConfigFiles(settings, next, options);
}

/** Once promoted, it keeps a primary's settings, also after a later failure. */
function restoreConfig(context: PromotionContext): Promise<void> {
  return withDeadline("restoring the replica's settings", restoreMs, never, async (signal) => {
    const inRecovery = await withReplica(context, signal, async (pg) => {
      const { rows } = await pg.query<{ still: boolean }>('select pg_catalog.pg_is_in_recovery() as still');
      return rows[0]?.still === true;
    });
    if (!inRecovery) return;
    await writeConfig({ ...context, next: context.spec });
    await takeEffect(context, signal);
    forgetEarlierConf(context);
  });
}

/** The safekeepers must be configured before the first commit. */
function reload(context: PromotionContext, signal: AbortSignal): Promise<void> {
  return reloadOf(withSpec(context, context.next), signal);
}

async function pgPromote(context: PromotionContext, signal: AbortSignal): Promise<void> {
  await context.failpoints.pass('compute-promotion', signal);
  await withReplica(context, signal, async (pg) => {
    const { rows } = await pg.query<{ promoted: boolean }>(
      `select case when pg_catalog.pg_is_in_recovery()
                   then pg_catalog.pg_promote(true, ${promoteSeconds}) else true end as promoted`,
    );
    if (rows[0]?.promoted !== true) throw new ComputeError('sql', 'pg_promote() failed');
    const mode = await pg.query<{ transaction_read_only: string }>('show transaction_read_only');
    if (mode.rows[0]?.transaction_read_only === 'on')
      throw new ComputeError('sql', 'replica in read only mode after promotion');
  });
}

function takeSpec({ acceptSpec }: PromotionContext): Promise<void> {
  return acceptSpec();
}

async function reconfigure(context: PromotionContext, signal: AbortSignal): Promise<void> {
  const then = withSpec(context, context.next);
  await runSteps(firstConfiguration, then, { log: context.log, signal, onStep: () => {} });
}

/** The answer's three figures, from the steps' times. */
export function promotionFigures(took: ReadonlyMap<string, number>): {
  lsn_wait_time_ms: number;
  pg_promote_time_ms: number;
  reconfigure_time_ms: number;
} {
  const sum = (...names: readonly string[]): number =>
    names.reduce((total, name) => total + (took.get(name) ?? 0), 0);
  return {
    lsn_wait_time_ms: sum('wait-for-lsn'),
    pg_promote_time_ms: sum('write-config', 'reload', 'pg-promote'),
    reconfigure_time_ms: sum('take-spec', 'reconfigure'),
  };
}
