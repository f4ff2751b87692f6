import { catalogInput } from '../catalog/input.ts';
import { assertValid } from '../catalog/validate.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Options } from '../config/options.ts';
import { timeLimit } from '../core/clock.ts';
import { ComputeError, explained, inline } from '../core/errors.ts';
import { systemCode } from '../core/system-hints.ts';
import { createLog } from '../core/log.ts';
import { parseConnstr } from '../pg/connstr.ts';
import { assertLakebase } from '../postgres/lakebase.ts';
import { type PostgresBin, locatePostgres } from '../postgres/postgres-bin.ts';
import { wrongAddresses } from '../services/audit-log.ts';
import { type Settings, settingsOf } from '../services/settings.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { ParsedArgs } from './args.ts';
import { renderCheck } from './check-report.ts';
import { checkAddresses, checkFormat, checkKeys } from './checks/config.ts';
import { asLines, asObjects } from './checks/shown.ts';
import { type Findings, errors, findingOf, together, tried, unchecked, warnings } from './checks/finding.ts';
import { checkConnstrPort, checkDataDirectory, checkFiles, checkPorts } from './checks/machine.ts';
import { checkSettings, rendered } from './checks/settings.ts';

const localConnstr = 'postgresql://cloud_admin@localhost/postgres';

/** 2 is a usage error's. */
const exitCodes = { valid: 0, invalid: 1, warnings: 3 } as const;

export interface CheckOutcome {
  /** For stdout, ending in a line end. */
  readonly text: string;
  /** The lines for stderr. */
  readonly log: readonly string[];
  readonly exitCode: number;
}

/** `compute_ctl check`: everything that would make a start fail, found without touching anything.
 *  @param byRoot whether this program was started by root, whatever it has become
 *  @throws ComputeError when there is nothing to look at, since the config cannot be read */
export async function check(
  given: Extract<ParsedArgs, { command: 'check' }>,
  env: NodeJS.ProcessEnv,
  byRoot = false,
): Promise<CheckOutcome> {
  const { options, json } = given;
  const signal = timeLimit(options.controlPlaneTimeoutSeconds * 4000);
  // The notes are part of the output.
  const log = createLog({ format: options.logFormat, level: 'silent' });
  const loaded = await loadConfig(options, { signal, log, env, onControlPlaneAttempt: () => {} });
  const notes = [...given.notes, ...loaded.notes].map((text) => ({ text }));
  const found = together([warnings(...notes), await findings(loaded, { ...given, byRoot }, env, signal)]);
  const verdict =
    found.errors.length > 0 ? 'invalid' : found.warnings.length > 0 ? 'warnings' : ('valid' as const);
  return {
    text: `${renderCheck(loaded, options, { ...found, verdict }, json)}\n`,
    log: options.logFormat === 'json' ? asObjects(found) : asLines(found),
    exitCode: exitCodes[verdict],
  };
}

async function findings(
  loaded: LoadedConfig,
  { options, live, byRoot }: Extract<ParsedArgs, { command: 'check' }> & { byRoot: boolean },
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Findings> {
  const { spec, config } = loaded;
  const bin = await binaryOf(options, env, signal);
  const target = parseConnstr(options.connstr ?? localConnstr);
  const pgdata = options.pgdata ?? '';
  const connstr = options.connstr ?? localConnstr;
  const found = { target, bin: bin.found ?? noBinary, tls: config.tls };
  const settings = settingsOf({ ...options, pgdata, connstr }, env, found);
  return together([
    bin.findings,
    await checkKeys(config, spec === null),
    ...(spec === null ? [] : await ofSpec(spec, options, settings)),
    ...(spec === null
      ? []
      : [await ofPostgres(spec, settings, { installed: bin.found !== null, live }, signal)]),
    await checkFiles(spec, settings),
    await checkDataDirectory(options, byRoot),
    ...(live ? [await checkPorts(spec, options)] : []),
  ]);
}

async function ofSpec(spec: ResolvedSpec, options: Options, settings: Settings): Promise<Findings[]> {
  const { target, privilegedRole } = settings;
  return [
    checkFormat(spec),
    await checkAddresses(spec),
    ...(settings.bin.major === 0 ? [] : [await tried(() => assertLakebase(spec.spec, settings.bin.major))]),
    await tried(() => assertValid(catalogInput(spec, { target, privilegedRole, stage: 'start' }))),
    warnings(...wrongAddresses(spec, settings).map((error) => ({ text: inline(error) }))),
    checkConnstrPort(spec, options, settings),
  ];
}

async function ofPostgres(
  spec: ResolvedSpec,
  settings: Settings,
  { installed, live }: { readonly installed: boolean; readonly live: boolean },
  signal: AbortSignal,
): Promise<Findings> {
  if (!installed) return tried(() => rendered(spec, settings));
  try {
    return await checkSettings(spec, settings, live, signal);
  } catch (error) {
    signal.throwIfAborted();
    // The directory that PostgreSQL would read the file in cannot be written.
    if (systemCode(error) !== null) return unchecked(`the settings: ${explained(error)}`);
    return errors(findingOf(error));
  }
}

/** Stands for a program that is not there. */
const noBinary: PostgresBin = { path: '', dir: '', major: 0, version: '', sibling: (name) => name };
const byDefault = 'postgres';

/** Without a program that was named, a start fails. A machine that only checks configs need not have one. */
async function binaryOf(
  { pgbin }: Options,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ found: PostgresBin | null; findings: Findings }> {
  try {
    return { found: await locatePostgres(pgbin, env, signal), findings: together([]) };
  } catch (error) {
    signal.throwIfAborted();
    const finding = findingOf(error);
    const optional =
      error instanceof ComputeError && error.code === 'postgres_missing' && pgbin === byDefault;
    const findings = optional
      ? unchecked(`the settings, since ${finding.text}: name the postgres program with --pgbin`)
      : errors(finding);
    return { found: null, findings };
  }
}
