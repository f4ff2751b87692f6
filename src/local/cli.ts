import type { Command } from 'commander';
import { buildProgram } from '../config/command.ts';
import { computeLocal } from '../config/options/compute-local.ts';
import { mainOptions } from '../config/options/main.ts';
import { isManualCommand, type manualCommands } from '../config/options/manual.ts';
import type { Values } from '../config/options/entry.ts';
import { readOptions } from '../config/read-options.ts';
import { never } from '../core/abort.ts';
import { buildVersion } from '../core/build.ts';
import { ComputeError } from '../core/errors.ts';
import { type Log, createLog } from '../core/log.ts';
import { becomeOsUser } from './become-os-user.ts';
import { closeInherited } from '../config/given-files.ts';
import { saidAsFirstProcess } from '../process/first-process.ts';
import { asRole } from './desired/login.ts';
import { reportCommandFailure } from './failure.ts';
import { requireOwner } from './owner.ts';
import { createReport } from './report.ts';
import { watchOutput } from './stdout.ts';
import { Interrupted } from './branches/interrupt.ts';
import { calledAs, dirNamed, homeNamed, stateNamed } from './branches/resolve.ts';
import { mainName } from './names.ts';
import { type LocalDir, connectionUrl, defaultDir, localDir } from './state.ts';

const { commands } = computeLocal;
type Name = Exclude<keyof typeof commands, keyof typeof manualCommands>;
type OptionsOf<N extends Name> = Values<(typeof commands)[N]['options']>;

/** A command. Resolves with the exit code.
 *  @param given the names of the options on the command line */
type Action<N extends Name> = (
  dir: LocalDir,
  options: OptionsOf<N>,
  args: readonly string[],
  given: readonly string[],
) => Promise<number>;

const report = ({ json }: { readonly json: boolean }) => createReport(process.stdout, json, process.stderr);

/** The commands by name; each is loaded when it is called. */
const actionsOf = (log: Log): { readonly [N in Name]: Action<N> } => ({
  up: async (dir, options) => {
    if (options.name !== null && !isNode(options))
      throw new ComputeError('usage', '--name is for a node beside the primary', {
        hint: 'give --replica or --at-lsn too, or leave --name out',
      });
    const given = { ...options, compactAtBytes: options.compactAt };
    if (isNode(options)) {
      const { upNode } = await import('./commands/up-node.ts');
      return upNode(dir, given, report(options), log);
    }
    const { up } = await import('./commands/up.ts');
    return up(dir, given, report(options), log);
  },
  status: async (dir, { json }, [name = null]) =>
    (await import('./commands/status.ts')).status(homeNamed(dir, name), calledAs(dir, name), json),
  stop: async (dir, options, [name = null]) =>
    (await import('./commands/stop.ts')).stop(dir, name, report(options), log, never),
  create: async (dir, options, [name = ''], given) =>
    (await import('./branches/create.ts')).create(dir, name, options, given, log),
  branch: async (dir, options, [name = '']) =>
    (await import('./branches/create.ts')).branch(dir, name, options, log),
  list: async (dir, { json }) => (await import('./commands/list.ts')).list(dir, json),
  start: async (dir, options, [name = mainName], given) =>
    (await import('./branches/create.ts')).start(dir, name, options, given),
  delete: async (dir, options, [name = '']) =>
    (await import('./branches/change.ts')).remove(dir, name, options, log),
  rename: async (dir, options, [name = '', fresh = '']) =>
    (await import('./branches/change.ts')).rename(dir, name, fresh, options, log),
  diff: async (dir, options, [name = '', other = null]) =>
    (await import('./branches/diff.ts')).diff(dir, name, other, options),
  watch: async (dir, { json }, [name = null]) =>
    (await import('./commands/watch.ts')).watch(homeNamed(dir, name), calledAs(dir, name), json),
  logs: async (dir, options, [name = null]) =>
    (await import('./commands/logs.ts')).logs(dirNamed(dir, name), options),
  dashboard: async (dir, { json }, [name = null]) =>
    (await import('./commands/dashboard.ts')).dashboard(homeNamed(dir, name), json),
  promote: async (dir, options) =>
    (await import('./commands/promote.ts')).promote(dir, options.name, report(options), never),
  reset: async (dir, options, [name]) =>
    name === undefined
      ? (await import('./commands/reset.ts')).reset(dir, options.yes, report(options), log)
      : (await import('./branches/change.ts')).resetBranch(dir, name, options, log),
  init: async (dir, options) => (await import('./desired/commands.ts')).init(dir, options),
  plan: async (dir, options) => (await import('./desired/commands.ts')).plan(dir, options),
  apply: async (dir, options) => (await import('./desired/commands.ts')).apply(dir, options),
  password: async (dir, options, args) =>
    (await import('./desired/commands.ts')).password(dir, options, args),
  config: async (dir, options, args) => (await import('./desired/commands.ts')).config(dir, options, args),
  url: async (dir, { name, role, json }, [given = name]) =>
    say('url', connectionUrl(asRole(homeNamed(dir, given), stateNamed(dir, given), role)), json),
  token: async (dir, { name, json }, [given = name]) =>
    say('token', (await import('./compute-api.ts')).computeToken(stateNamed(dir, given), 3600), json),
  psql: async (dir, options, args) => (await import('./branches/psql.ts')).psqlNamed(dir, options, args, log),
  next: async (dir, options) => (await import('./commands/next.ts')).prepareNext(dir, options, log),
  storage: async (dir, options) => {
    const { storageDaemon } = await import('./commands/storage.ts');
    return storageDaemon(dir, { ...options, compactAtBytes: options.compactAt }, log);
  },
});

const isNode = ({ replica, atLsn }: OptionsOf<'up'>): boolean => replica || atLsn !== null;

async function say(field: 'url' | 'token', text: string, json: boolean): Promise<number> {
  process.stdout.write(`${json ? JSON.stringify({ [field]: text }) : text}\n`);
  return 0;
}

/** Reads the options of a command and runs it. */
async function act<N extends Name>(name: N, log: Log, command: Command): Promise<number> {
  const options: OptionsOf<N> = readOptions(command, commands[name].options, process.env);
  const dir = localDir(options.dir ?? defaultDir());
  const osUser = 'osUser' in options ? String(options.osUser) : mainOptions.osUser.fallback;
  const pid1 = name === 'up' ? saidAsFirstProcess('compute-local') : null;
  if (pid1 !== null) log.warn(pid1);
  // psql may be given a file that the shell has opened: `-f <(...)`.
  if (name !== 'psql') closeInherited();
  // A node needs a directory that is there.
  const creates =
    ['create', 'start', 'init'].includes(name) || (name === 'up' && !isNode(options as OptionsOf<'up'>));
  await becomeOsUser(dir, osUser, creates);
  await requireOwner(dir);
  return actionsOf(log)[name](dir, options, command.args, Object.keys(command.opts()));
}

/** argv, environment and the exit code of `compute-local`; every decision is made elsewhere. */
async function run(): Promise<number> {
  const level = process.argv[2] === 'storage' ? 'info' : 'warn';
  const log = createLog({ format: 'text', level });
  const written = watchOutput(process.stdout, process.stderr);
  let exitCode = 0;
  const called = async (name: keyof typeof commands, command: Command): Promise<void> => {
    if (isManualCommand(name)) {
      const { manual } = await import('../manual/manual.ts');
      process.stdout.write(manual(name, command.args[0] ?? 'compute-local'));
    } else exitCode = await act(name, log, command);
  };
  const program = buildProgram(computeLocal, buildVersion, called, process.argv[2]);
  try {
    await program.parseAsync();
    const unwritten = await written();
    if (unwritten !== null) throw unwritten;
    return exitCode;
  } catch (error) {
    if (error instanceof Interrupted) error.end();
    return reportCommandFailure(error, process.argv.slice(2));
  }
}

// All work is done; an open handle must not keep the process running.
void run().then((exitCode) => process.exit(exitCode));
