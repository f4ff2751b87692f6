import type { ResolvedSpec } from '../spec/resolve.ts';
import { configureCatalog } from './configure-catalog.ts';
import { writeConfigFiles } from './config-files.ts';
import { type StartContext, pathOf } from './context.ts';
import { step } from './steps.ts';

/** Brings a new spec into force on a running Postgres, which serves throughout. */
export const reconfiguration = [
  step('write-config', writeConfig), // postgresql.conf
  step('reload', reload),
  step('apply-catalog', applyCatalog), // roles, databases
] as const;

function writeConfig(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings, spec, log } = context;
  const options = { pgdata: pathOf(context), subscriptionsDropped: true, log };
  return writeConfigFiles(settings, spec, options, signal);
}

function reload({ state }: StartContext): void {
  state.postgres?.reload();
}

function applyCatalog(context: StartContext, signal: AbortSignal): Promise<void> {
  return configureCatalog(context, 'reconfigure', signal);
}

/** The same compute with another spec. */
export const withSpec = (context: StartContext, spec: ResolvedSpec): StartContext => ({ ...context, spec });
