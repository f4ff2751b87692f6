import { CommanderError } from 'commander';
import { buildTag, buildVersion } from '../core/build.ts';
import { ComputeError, messageOf } from '../core/errors.ts';
import { type Subcommand, buildCommand, subcommands } from '../config/command.ts';
import { environmentEntries } from '../config/environment.ts';
import { normalizeArgv } from '../config/gnu.ts';
import {
  type OptionName,
  type Options,
  type PlanOptions,
  type RunOptions,
  optionEntries,
} from '../config/options.ts';
import { readValue } from '../config/values.ts';

interface Given {
  /** A line for the log for each thing that is accepted and has no effect yet. */
  readonly notBuilt: readonly string[];
  /** A line for the log for each thing that has no effect the way it was given. */
  readonly notes: readonly string[];
}

export type ParsedArgs =
  | ({ readonly command: 'run'; readonly options: RunOptions } & Given)
  | ({ readonly command: 'check'; readonly options: Options; readonly json: boolean } & Given)
  | ({ readonly command: 'plan'; readonly options: PlanOptions; readonly json: boolean } & Given)
  | { readonly command: 'help' | 'version'; readonly text: string };

type Values = Record<string, string | number | boolean | null>;

/** Reads the command line, without the names of program and script, and the environment behind it.
 *  @throws ComputeError `usage` */
export function parseArgs(argv: readonly string[], env: NodeJS.ProcessEnv): ParsedArgs {
  const subcommand = subcommandOf(argv[0]);
  const command = buildCommand(subcommand, `compute_ctl ${buildVersion} (build ${buildTag})`);
  let printed = '';
  command.configureOutput({ writeOut: (text) => (printed += text), writeErr: () => {} });
  try {
    command.parse(normalizeArgv(subcommand === null ? argv : argv.slice(1)), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return { command: 'version', text: printed.trimEnd() };
    if (error.code === 'commander.helpDisplayed') return { command: 'help', text: printed.trimEnd() };
    throw usage(error.message.replace(/^error: /, ''));
  }
  const given = new Set<OptionName>();
  const values: Values = {};
  const source = command.opts<Record<string, string | number | boolean>>();
  for (const [name, entry] of optionEntries) {
    const attribute = attributeName(entry.flag);
    const fromEnv = entry.env === undefined ? undefined : env[entry.env];
    const explicit = command.getOptionValueSource(attribute) === 'cli';
    if (explicit || fromEnv !== undefined) given.add(name);
    if (explicit) values[name] = source[attribute] ?? null;
    else values[name] = fromEnv === undefined ? entry.fallback : readEnv(entry.env, entry.kind, fromEnv);
  }
  const options = values as Options;
  const found: Given = { notBuilt: notBuilt(given, env), notes: portNotes(options) };
  if (subcommand !== null) {
    requireSource(options);
    const given = { json: source['json'] === true, ...found };
    if (subcommand === 'check') return { command: 'check', options: withPorts(options), ...given };
    return { command: 'plan', options: requireConnstr(withPorts(options)), ...given };
  }
  return { command: 'run', options: requireRun(withPorts(options)), ...found };
}

/** `in` would also find what every object has, such as `toString`. */
const subcommandOf = (word = ''): Subcommand | null =>
  Object.hasOwn(subcommands, word) ? (word as Subcommand) : null;

const attributeName = (flag: string): string =>
  flag.slice(2).replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function readEnv(name: string | undefined, kind: Parameters<typeof readValue>[0], text: string) {
  try {
    return readValue(kind, text);
  } catch (error) {
    throw usage(`environment variable ${name} is invalid. ${messageOf(error)}`);
  }
}

function requireRun(options: Options): RunOptions {
  const { pgdata } = options;
  if (pgdata === null) throw usage("required option '-D, --pgdata <DIR>' not specified");
  const connected = requireConnstr(options);
  requireId(options, options.config !== null || options.controlPlaneUri !== null);
  return { ...connected, pgdata };
}

function requireConnstr(options: Options): PlanOptions {
  const { connstr } = options;
  if (connstr === null) throw usage("required option '-C, --connstr <URL>' not specified");
  return { ...options, connstr };
}

function requireSource(options: Options): void {
  const { config, controlPlaneUri, spec, specPath } = options;
  if ((config ?? controlPlaneUri ?? spec ?? specPath) === null) {
    throw usage('nothing to check: give --config, --control-plane-uri, --spec or --spec-path');
  }
  requireId(options, controlPlaneUri !== null);
}

function requireId(options: Options, needed: boolean): void {
  if (needed && options.computeId === null) {
    throw usage("required option '-i, --compute-id <ID>' not specified");
  }
}

function portNotes(options: Options): string[] {
  const ignored = options.httpPort !== null && !options.lakebaseMode;
  return ignored ? ['--http-port is ignored: it has an effect only with --lakebase-mode true'] : [];
}

function withPorts(options: Options): Options {
  const port = options.httpPort;
  if (port === null || !options.lakebaseMode) return options;
  if (port === 65_535) throw usage("option '--http-port' must leave room for the internal port above it");
  return { ...options, externalHttpPort: port, internalHttpPort: port + 1 };
}

function notBuilt(given: ReadonlySet<OptionName>, env: NodeJS.ProcessEnv): string[] {
  const options = optionEntries
    .filter(([name]) => given.has(name))
    .map(([, entry]) => [entry.flag, entry] as const);
  const variables = environmentEntries.filter(([name]) => env[name] !== undefined);
  return [...options, ...variables].flatMap(([name, { implementedBy }]) => {
    if (implementedBy === undefined) return [];
    const issue = implementedBy === 'later' ? '' : ` (issue ${implementedBy})`;
    return [`${name} has no effect: not built yet${issue}`];
  });
}

const usage = (message: string): ComputeError =>
  new ComputeError('usage', message, { hint: "see 'compute_ctl --help'" });
