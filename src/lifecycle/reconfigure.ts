import { writeOverride } from '../postgres/files.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { usesTls } from '../postgres/conf.ts';
import { removePair } from '../postgres/tls-placed.ts';
import { writeConfigFiles } from './config-files.ts';
import { configureCatalog, leavingDatabases, removeOverride, wantsCatalog } from './configure-catalog.ts';
import { type StartContext, pathOf } from './context.ts';
import { step } from './steps.ts';
import { forgetEarlierConf, keepEarlierConf, restoreEarlierConf } from './earlier-conf.ts';
import { takeEffect } from './take-effect.ts';

/** Applies a new spec to a running Postgres, without an interruption for clients. */
export const reconfiguration = [
  step('reconfigure-services', reconfigureServices),
  step('write-config', writeConfig, dropOverride), // postgresql.conf, and the override for the catalog pass
  step('reload', reload), // must take effect before the catalog changes
  step('apply-catalog', applyCatalog), // roles, databases
] as const;

/** The same at the end of a promotion, which is a primary's start. */
export const firstConfiguration = [
  ...reconfiguration.slice(0, -1),
  step('apply-catalog', (context: StartContext, signal: AbortSignal) =>
    leavingDatabases(configureCatalog(context, 'reconfigure', signal)),
  ),
] as const;

function reconfigureServices({ services, spec }: StartContext, signal: AbortSignal): Promise<void> {
  return services.reconfigure(spec, signal);
}

async function writeConfig(context: StartContext): Promise<void> {
  const { settings, spec, log } = context;
  const options = { pgdata: pathOf(context), subscriptionsDropped: true, log };
  keepEarlierConf(context);
  await writeConfigFiles(settings, spec, options);
  if (wantsCatalog(context)) await writeOverride(options.pgdata);
}

/** After a failure the size limit must hold again. A new `postgresql.conf` that is in force stays. */
export async function dropOverride(context: StartContext): Promise<void> {
  await removeOverride(context);
  context.state.postgres?.reload();
}

/** When the new settings cannot take effect, the earlier file is put back; rolling back `write-config` reloads it. */
export async function reload(context: StartContext, signal: AbortSignal): Promise<void> {
  try {
    await takeEffect(context, signal);
  } catch (error) {
    restoreEarlierConf(context);
    throw error;
  }
  forgetEarlierConf(context);
  const { settings, spec } = context;
  if (!usesTls(spec.spec, settings.tls !== null)) removePair(pathOf(context));
}

function applyCatalog(context: StartContext, signal: AbortSignal): Promise<void> {
  return configureCatalog(context, 'reconfigure', signal);
}

/** The same context with another spec. */
export const withSpec = (context: StartContext, spec: ResolvedSpec): StartContext => ({ ...context, spec });
