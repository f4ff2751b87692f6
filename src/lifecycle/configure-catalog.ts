import { applyCatalog } from '../catalog/apply.ts';
import { catalogInput } from '../catalog/input.ts';
import type { Remainder } from '../catalog/remainder.ts';
import { CatalogFailure } from '../catalog/result.ts';
import type { PgClient } from '../pg/client.ts';
import { reloadOn } from '../pg/reload.ts';
import { emptyOverride, ensureSubscribersEnabled } from '../postgres/files.ts';
import { type StartContext, pathOf } from './context.ts';
import { withReadableAudit } from '../services/audit-log.ts';

/** Whether the spec asks for changes to roles, databases and extensions. */
export const wantsCatalog = ({ spec }: Pick<StartContext, 'spec'>): boolean =>
  spec.mode.kind === 'primary' && !spec.spec.skip_pg_catalog_updates;

/** Applies the spec to the running Postgres, and records the databases that failed. Meanwhile a settings override lifts
 *  the size limit; it is removed again before this resolves. After a failure the caller removes it, or stops Postgres.
 *  @param again only what an earlier pass has left undone; null: everything
 *  @throws what the catalog pass threw; ComputeError `deadline` when the settings do not take effect */
export async function configureCatalog(
  context: StartContext,
  stage: 'start' | 'reconfigure',
  signal: AbortSignal,
  again: Remainder | null = null,
): Promise<void> {
  if (!wantsCatalog(context)) return context.state.databases.passed(null);
  const { settings, spec, state, log } = context;
  const { target, privilegedRole } = settings;
  const ask = (): void => void state.postgres?.reload();
  const afterwards = async (pg: PgClient, signal: AbortSignal): Promise<void> => {
    await removeOverride(context);
    await reloadOn(pg, ask, signal);
  };
  const lakebase = settings.lakebase !== null;
  const input = catalogInput(withReadableAudit(spec, settings), {
    target,
    privilegedRole,
    stage,
    lakebase,
    again,
  });
  try {
    const { crashes } = state.databases;
    // One after the other, so that it is known which one makes the server crash.
    const concurrency = again === null ? {} : { concurrency: 1 };
    await applyCatalog(input, { target, log, signal, afterwards, crashes, ...concurrency });
    state.databases.passed(null);
  } catch (error) {
    if (error instanceof CatalogFailure) state.databases.passed(error);
    throw error;
  }
}

/** A start succeeds without the databases that failed: they are tried again while the compute runs. */
export async function leavingDatabases(configured: Promise<void>): Promise<void> {
  try {
    await configured;
  } catch (error) {
    if (!(error instanceof CatalogFailure && error.onlyDatabases)) throw error;
  }
}

export async function removeOverride(context: StartContext): Promise<void> {
  const { spec } = context;
  const pgdata = pathOf(context);
  await emptyOverride(pgdata);
  if (spec.spec.drop_subscriptions_before_start) await ensureSubscribersEnabled(pgdata);
}
