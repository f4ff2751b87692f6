import { inline } from '../core/errors.ts';
import { sqlState } from '../pg/client.ts';
import { reloadAndWait } from '../pg/reload.ts';
import { writeOverride } from '../postgres/files.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { writeConfigFiles } from './config-files.ts';
import { configureCatalog, wantsCatalog } from './configure-catalog.ts';
import { type StartContext, pathOf } from './context.ts';
import { step } from './steps.ts';

/** Brings a new spec into force on a running Postgres, which serves throughout. */
export const reconfiguration = [
  step('reconfigure-services', reconfigureServices),
  step('write-config', writeConfig), // postgresql.conf
  step('reload', reload), // in force before anything is done under it
  step('apply-catalog', applyCatalog), // roles, databases
] as const;

function reconfigureServices({ services, spec }: StartContext, signal: AbortSignal): Promise<void> {
  return services.reconfigure(spec, signal);
}

async function writeConfig(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings, spec, log } = context;
  const options = { pgdata: pathOf(context), subscriptionsDropped: true, log };
  await writeConfigFiles(settings, spec, options, signal);
  if (wantsCatalog(context)) await writeOverride(options.pgdata, settings.runAs);
}

const cannotConnectNow = '57P03';

async function reload({ settings, spec, state, log }: StartContext, signal: AbortSignal): Promise<void> {
  const ask = (): void => void state.postgres?.reload();
  try {
    await reloadAndWait(settings.target, ask, signal);
  } catch (error) {
    // A replica that is not consistent yet lets nobody in; it takes its settings all the same.
    if (spec.mode.kind === 'primary' || sqlState(error) !== cannotConnectNow) throw error;
    ask();
    log.warn(`not waiting for the new settings to come into force: ${inline(error)}`);
  }
}

function applyCatalog(context: StartContext, signal: AbortSignal): Promise<void> {
  return configureCatalog(context, 'reconfigure', signal);
}

/** The same compute with another spec. */
export const withSpec = (context: StartContext, spec: ResolvedSpec): StartContext => ({ ...context, spec });
