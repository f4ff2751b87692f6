import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { never } from '../core/abort.ts';
import { buildVersion } from '../core/build.ts';
import { ComputeError, errorCodes } from '../core/errors.ts';
import { type Log, createLog } from '../core/log.ts';
import { type Lsn, noLsn, parseLsn } from '../core/lsn.ts';
import { createReport, failureText } from './report.ts';
import { bytes, megabyte } from './sizes.ts';
import { type LocalDir, connectionUrl, defaultDir, localDir, stateOf } from './state.ts';

/** argv, environment and the exit code of `compute-local`; every decision is made elsewhere. */
interface Shared {
  readonly dir: string;
  readonly json: boolean;
}

interface ForPostgres {
  readonly pgBinDir: string | null;
  readonly osUser: string;
}

interface ForUp extends Shared, ForPostgres {
  readonly replica: boolean;
  readonly atLsn: Lsn | null;
  readonly name: string | null;
  readonly compactAt: number;
  readonly port: number | null;
  readonly httpPort: number | null;
  readonly newPorts: boolean;
}

const about =
  'Runs compute_ctl with a stock PostgreSQL on one machine, on a storage of its own that keeps every commit.';

let exitCode = 0;

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${most} is expected`);
  };
}

function lsnArgument(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === null || lsn === noLsn) throw new InvalidArgumentError('an LSN such as 0/16B3748 is expected');
  return lsn;
}

function nodeName(text: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,30}$/.test(text)) return text;
  throw new InvalidArgumentError('up to 31 small letters, digits, - and _ are expected');
}

function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(
      new Option('--dir <dir>', 'Where everything is kept.').env('COMPUTE_LOCAL_DIR').default(defaultDir()),
    );
}

const json = (to: Command): Command =>
  to.option('--json', 'Print JSON: one object, or one a line for what happens over time.', false);

const forPostgres = (to: Command): Command =>
  to
    .addOption(
      new Option(
        '--pg-bin-dir <dir>',
        'Directory of the PostgreSQL programs; looked for in PATH and /usr/lib/postgresql otherwise.',
      )
        .env('COMPUTE_LOCAL_PG_BIN_DIR')
        .default(null),
    )
    .addOption(
      new Option('--os-user <name>', 'Who runs Postgres when started by root.')
        .env('COMPUTE_CTL_OS_USER')
        .default('postgres'),
    );

const compactAt = (): Option =>
  new Option('--compact-at <size>', 'Take a new base backup when there is more WAL than this.')
    .env('COMPUTE_LOCAL_COMPACT_AT')
    .argParser(bytes)
    .default(256 * megabyte, '256MB');

const port = (flag: string, what: string): Option =>
  new Option(`${flag} <port>`, what).argParser(wholeNumber(1, 65_535)).default(null, 'keep or choose');

function buildProgram(log: Log): Command {
  const program = new Command('compute-local')
    .description(about)
    .version(buildVersion, '--version')
    .exitOverride();
  const act =
    (work: (dir: LocalDir) => Promise<number>) =>
    async (dir: string): Promise<void> => {
      exitCode = await work(localDir(dir));
    };
  const report = (options: Shared) => createReport(process.stdout, options.json);

  json(forPostgres(command(program, 'up', 'Start everything and keep it running until Ctrl-C.')))
    .addOption(port('--port', 'TCP port of Postgres.'))
    .addOption(port('--http-port', 'Port of the HTTP API.'))
    .option('--new-ports', 'Choose other ports for those that are taken.', false)
    .option('--replica', 'Run a read-only follower of the running compute.', false)
    .addOption(
      new Option('--at-lsn <lsn>', 'Run a read-only view of the data as of an LSN.')
        .argParser(lsnArgument)
        .default(null, 'none')
        .conflicts('replica'),
    )
    .addOption(
      new Option('--name <name>', 'Name of the follower or view.')
        .argParser(nodeName)
        .default(null, 'replica or static'),
    )
    .addOption(compactAt())
    .action((options: ForUp) =>
      act(async (dir) => {
        if (options.replica || options.atLsn !== null) {
          const { upNode } = await import('./commands/up-node.ts');
          const asNode = { ...options, compactAtBytes: options.compactAt };
          return upNode(dir, asNode, report(options), log);
        }
        const { up } = await import('./commands/up.ts');
        return up(dir, { ...options, compactAtBytes: options.compactAt }, report(options), log);
      })(options.dir),
    );
  json(command(program, 'status', 'Show what runs. Exit code 3 when the compute does not run.')).action(
    (options: Shared) =>
      act(async (dir) => (await import('./commands/status.ts')).status(dir, options.json))(options.dir),
  );
  json(command(program, 'stop', 'Stop everything.')).action((options: Shared) =>
    act(async (dir) => (await import('./commands/stop.ts')).stop(dir, report(options), log, never))(
      options.dir,
    ),
  );
  json(command(program, 'promote', 'Make a replica the primary; the primary comes back as a replica.'))
    .addOption(new Option('--name <name>', 'Name of the replica.').argParser(nodeName).default('replica'))
    .action((options: Shared & { readonly name: string }) =>
      act(async (dir) =>
        (await import('./commands/promote.ts')).promote(dir, options.name, report(options), never),
      )(options.dir),
    );
  json(command(program, 'reset', 'Remove the database and everything in it.'))
    .option('--yes', 'Do not ask.', false)
    .action((options: Shared & { readonly yes: boolean }) =>
      act(async (dir) => (await import('./commands/reset.ts')).reset(dir, options.yes, report(options), log))(
        options.dir,
      ),
    );
  command(program, 'url', 'Print the connection URL, with its password.').action((options: Shared) =>
    act(async (dir) => say(connectionUrl(stateOf(dir))))(options.dir),
  );
  command(program, 'token', 'Print a bearer token for the HTTP API, good for an hour.').action(
    (options: Shared) =>
      act(async (dir) => say((await import('./compute-api.ts')).computeToken(stateOf(dir), 3600)))(
        options.dir,
      ),
  );
  forPostgres(command(program, 'psql', 'Open psql; what follows -- is passed on.'))
    .argument('[args...]')
    .action((args: string[], options: Shared & ForPostgres) =>
      act(async (dir) => {
        const [{ psql }, { toolsFor }] = await Promise.all([
          import('./commands/psql.ts'),
          import('./commands/storage.ts'),
        ]);
        return psql(dir, await toolsFor(dir, stateOf(dir), options, never), args);
      })(options.dir),
    );
  const storage = new Command('storage').description('The storage daemon, which `up` starts.');
  program.addCommand(storage, { hidden: true });
  forPostgres(storage.requiredOption('--dir <dir>'))
    .addOption(compactAt())
    .action((options: ForUp) =>
      act(async (dir) => {
        const { storageDaemon } = await import('./commands/storage.ts');
        return storageDaemon(dir, { ...options, compactAtBytes: options.compactAt }, log);
      })(options.dir),
    );
  return program;
}

async function say(text: string): Promise<number> {
  process.stdout.write(`${text}\n`);
  return 0;
}

async function run(): Promise<void> {
  const level = process.argv[2] === 'storage' ? 'info' : 'warn';
  const log = createLog({ format: 'text', level });
  try {
    await buildProgram(log).parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      exitCode = error.exitCode === 0 ? 0 : errorCodes.usage.exit;
      return;
    }
    process.stderr.write(`${failureText(error)}\n`);
    exitCode = error instanceof ComputeError ? errorCodes[error.code].exit : 1;
  }
}

// Nothing is left to be done then; a forgotten handle must not keep the process.
void run().then(() => process.exit(exitCode));
