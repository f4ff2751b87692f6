import { applyCatalog } from '../catalog/apply.ts';
import { catalogInput } from '../catalog/input.ts';
import type { Log } from '../core/log.ts';
import { emptyOverride, ensureSubscribersEnabled, writeOverride } from '../postgres/files.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { type StartContext, pathOf } from './context.ts';

/** Applies the spec to the running Postgres, with the size limit lifted meanwhile and taken back whatever happens.
 *  @throws what the catalog pass threw */
export async function configureCatalog(
  context: StartContext,
  stage: 'start' | 'reconfigure',
  signal: AbortSignal,
): Promise<void> {
  const { settings, spec, state, log } = context;
  if (spec.spec.skip_pg_catalog_updates) return;
  const pgdata = pathOf(context);
  try {
    // A start has written it before Postgres came up.
    if (stage === 'reconfigure') {
      await writeOverride(pgdata, settings.runAs);
      state.postgres?.reload();
    }
    if (spec.mode.kind === 'primary') await apply(context, spec, stage, log, signal);
  } finally {
    await emptyOverride(pgdata, settings.runAs);
    if (spec.spec.drop_subscriptions_before_start) await ensureSubscribersEnabled(pgdata, settings.runAs);
    state.postgres?.reload();
  }
}

async function apply(
  { settings }: StartContext,
  spec: ResolvedSpec,
  stage: 'start' | 'reconfigure',
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { target, privilegedRole } = settings;
  await applyCatalog(catalogInput(spec, { target, privilegedRole, stage }), { target, log, signal });
}
