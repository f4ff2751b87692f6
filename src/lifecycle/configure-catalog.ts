import { applyCatalog } from '../catalog/apply.ts';
import { catalogInput } from '../catalog/input.ts';
import type { PgClient } from '../pg/client.ts';
import { reloadOn } from '../pg/reload.ts';
import { emptyOverride, ensureSubscribersEnabled } from '../postgres/files.ts';
import { type StartContext, pathOf } from './context.ts';

/** Whether the spec asks for changes to roles, databases and extensions. */
export const wantsCatalog = ({ spec }: Pick<StartContext, 'spec'>): boolean =>
  spec.mode.kind === 'primary' && !spec.spec.skip_pg_catalog_updates;

/** Applies the spec to the running Postgres. Meanwhile a settings override lifts the size limit; it is removed again
 *  before this resolves. After a failure the caller removes it, or stops Postgres.
 *  @throws what the catalog pass threw; ComputeError `deadline` when the settings do not take effect */
export async function configureCatalog(
  context: StartContext,
  stage: 'start' | 'reconfigure',
  signal: AbortSignal,
): Promise<void> {
  if (!wantsCatalog(context)) return;
  const { settings, spec, state, log } = context;
  const { target, privilegedRole } = settings;
  const ask = (): void => void state.postgres?.reload();
  const afterwards = async (pg: PgClient, signal: AbortSignal): Promise<void> => {
    await removeOverride(context);
    await reloadOn(pg, ask, signal);
  };
  const input = catalogInput(spec, { target, privilegedRole, stage });
  await applyCatalog(input, { target, log, signal, afterwards });
}

export async function removeOverride(context: StartContext): Promise<void> {
  const { settings, spec } = context;
  const pgdata = pathOf(context);
  await emptyOverride(pgdata, settings.runAs);
  if (spec.spec.drop_subscriptions_before_start) await ensureSubscribersEnabled(pgdata, settings.runAs);
}
