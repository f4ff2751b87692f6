import { type Command, CommanderError } from 'commander';
import { buildTag, buildVersion } from '../core/build.ts';
import { ComputeError } from '../core/errors.ts';
import { clearer } from '../config/clearer.ts';
import { buildCommand, listCommands, refuseRepeats, withVersion } from '../config/command.ts';
import { normalizeArgv } from '../config/gnu.ts';
import { type Options, type PlanOptions, type RunOptions } from '../config/options.ts';
import { computeCtl } from '../config/options/compute-ctl.ts';
import { isManualCommand, type manualCommands } from '../config/options/manual.ts';
import { readOptions } from '../config/read-options.ts';

interface Given {
  /** Log lines about options that have no effect in this combination. */
  readonly notes: readonly string[];
}

export type ParsedArgs =
  | ({ readonly command: 'run'; readonly options: RunOptions } & Given)
  | ({
      readonly command: 'check';
      readonly options: Options;
      readonly json: boolean;
      readonly live: boolean;
    } & Given)
  | ({ readonly command: 'plan'; readonly options: PlanOptions; readonly json: boolean } & Given)
  | { readonly command: 'help' | 'version'; readonly text: string }
  | { readonly command: keyof typeof manualCommands; readonly of: string | undefined };

const { name: program, main, commands } = computeCtl;

type Subcommand = keyof typeof commands;

/** Reads the command line, without the names of program and script, and the environment.
 *  @throws ComputeError `usage` */
export function parseArgs(argv: readonly string[], env: NodeJS.ProcessEnv): ParsedArgs {
  const subcommand = subcommandOf(argv[0]);
  const command = commandOf(subcommand);
  let printed = '';
  command.configureOutput({ writeOut: (text) => (printed += text), writeErr: () => {} });
  try {
    command.parse(normalizeArgv(subcommand === null ? argv : argv.slice(1), main.options), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return { command: 'version', text: printed.trimEnd() };
    if (error.code === 'commander.helpDisplayed') return { command: 'help', text: printed.trimEnd() };
    throw usage(clearer(error.message, command, argv, Object.keys(commands)).replace(/^error: /, ''));
  }
  if (subcommand !== null && isManualCommand(subcommand)) return { command: subcommand, of: command.args[0] };
  const options = readOptions(command, main.options, env);
  const found: Given = { notes: portNotes(options) };
  if (subcommand !== null) {
    requireSource(options);
    if (subcommand === 'check') {
      const { json, live } = readOptions(command, commands.check.options, env);
      return { command: 'check', options: withPorts(options), json, live, ...found };
    }
    const { json } = readOptions(command, commands.plan.options, env);
    return { command: 'plan', options: requireConnstr(withPorts(options)), json, ...found };
  }
  const run = requireRun(withPorts(options));
  checkPorts(run);
  return { command: 'run', options: run, ...found };
}

/** `in` would also find what every object has, such as `toString`. */
const subcommandOf = (word = ''): Subcommand | null =>
  Object.hasOwn(commands, word) ? (word as Subcommand) : null;

function commandOf(subcommand: Subcommand | null): Command {
  const command =
    subcommand === null
      ? buildCommand(program, main).addHelpText('after', listCommands(commands))
      : buildCommand(`${program} ${subcommand}`, commands[subcommand]);
  return withVersion(refuseRepeats(command), `${program} ${buildVersion} (build ${buildTag})`);
}

function requireRun(options: Options): RunOptions {
  const { pgdata, connstr } = options;
  const needsId = options.config !== null || options.controlPlaneUri !== null;
  if (pgdata === null || connstr === null || (needsId && options.computeId === null))
    throw notSpecified([
      ...(pgdata === null ? ['-D, --pgdata <DIR>'] : []),
      ...(connstr === null ? ['-C, --connstr <URL>'] : []),
      ...(needsId && options.computeId === null ? ['-i, --compute-id <ID>'] : []),
    ]);
  return { ...options, pgdata, connstr };
}

/** All of them at once. */
function notSpecified(options: readonly string[]): ComputeError {
  const names = options.map((option) => `'${option}'`).join(', ');
  return usage(`required option${options.length === 1 ? '' : 's'} ${names} not specified`);
}

function requireConnstr(options: Options): PlanOptions {
  const { connstr } = options;
  if (connstr === null) throw notSpecified(['-C, --connstr <URL>']);
  return { ...options, connstr };
}

function requireSource(options: Options): void {
  const { config, controlPlaneUri, spec, specPath } = options;
  if ((config ?? controlPlaneUri ?? spec ?? specPath) === null) {
    throw usage('there is nothing to check: give --config, --control-plane-uri, --spec or --spec-path');
  }
  requireId(options, controlPlaneUri !== null);
}

function requireId(options: Options, needed: boolean): void {
  if (needed && options.computeId === null) {
    throw notSpecified(['-i, --compute-id <ID>']);
  }
}

const anyHost: readonly string[] = ['::', '0.0.0.0'];
const loopback: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** The same port twice would be reported as in use by another program. */
function checkPorts(options: RunOptions): void {
  const { externalHttpPort, internalHttpPort, externalHttpHost } = options;
  const own = postgresPort(options.connstr);
  for (const [flag, port] of [
    ['--external-http-port', externalHttpPort],
    ['--internal-http-port', internalHttpPort],
  ] as const)
    if (own !== null && own === port)
      throw usage(`${flag} and the port in --connstr are both ${port}: Postgres needs a port of its own`);
  const meet = anyHost.includes(externalHttpHost) || loopback.includes(externalHttpHost);
  if (meet && externalHttpPort !== 0 && externalHttpPort === internalHttpPort)
    throw usage(
      `--external-http-port and --internal-http-port are both ${internalHttpPort}: the two servers need a port each`,
    );
}

/** The port of a Postgres that listens beside the HTTP servers; null where that cannot be told. */
function postgresPort(connstr: string): number | null {
  if (!URL.canParse(connstr)) return null;
  const { hostname, port } = new URL(connstr);
  return loopback.includes(hostname) && port !== '' ? Number(port) : null;
}

function portNotes(options: Options): string[] {
  const ignored = options.httpPort !== null && !options.lakebaseMode;
  return ignored ? ['--http-port is ignored: it has an effect only with --lakebase-mode true'] : [];
}

function withPorts(options: Options): Options {
  const port = options.httpPort;
  if (port === null || !options.lakebaseMode) return options;
  if (port === 65_535)
    throw usage("option '--http-port' must be below 65535, since the internal port is one higher");
  return { ...options, externalHttpPort: port, internalHttpPort: port + 1 };
}

const usage = (message: string): ComputeError =>
  new ComputeError('usage', message, { hint: "see 'compute_ctl --help'" });
