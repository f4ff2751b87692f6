import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { buildCommand, buildProgram } from '../../../src/config/command.ts';
import { computeLocal } from '../../../src/config/options/compute-local.ts';
import { vmMonitor } from '../../../src/config/options/vm-monitor.ts';
import { readOptions } from '../../../src/config/read-options.ts';

interface Parsed {
  readonly name: string;
  readonly options: object;
  readonly args: readonly string[];
}

/** What compute-local makes of a command line. */
async function local(argv: string[], env: NodeJS.ProcessEnv = {}): Promise<Parsed> {
  const found: Parsed[] = [];
  const program = buildProgram(computeLocal, '1.2.3', (name, command) => {
    const options = readOptions(command, computeLocal.commands[name].options, env);
    found.push({ name, options, args: command.args });
    return Promise.resolve();
  });
  for (const one of [program, ...program.commands])
    one.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  await program.parseAsync(argv, { from: 'user' });
  return found[0] as Parsed;
}

describe('compute-local', () => {
  test('what is not given has its default, and null where the program chooses', async () => {
    expect(await local(['up'])).toEqual({
      name: 'up',
      args: [],
      options: {
        dir: null,
        pgBinDir: null,
        osUser: 'postgres',
        json: false,
        listenAll: false,
        port: null,
        httpPort: null,
        dashboardPort: null,
        newPorts: false,
        prepareAtMost: null,
        replica: false,
        atLsn: null,
        name: null,
        compactAt: 268_435_456,
        warnFree: null,
        stopFree: null,
        keep: null,
        keepAtMost: null,
        suspendAfter: 300,
        suspendHardAfter: 0,
        suspendIgnore: '',
        tlsCert: null,
        tlsKey: null,
      },
    });
    expect((await local(['promote'])).options).toEqual({ dir: null, json: false, name: 'replica' });
  });

  test('the command line beats the environment, which beats the default', async () => {
    const env = { COMPUTE_LOCAL_DIR: '/env', COMPUTE_CTL_OS_USER: 'pg', COMPUTE_LOCAL_COMPACT_AT: '4MB' };
    expect(
      (await local(['up', '--dir', '/a', '--dir=/b', '--new-ports', '--port=1'], env)).options,
    ).toMatchObject({
      dir: '/b',
      osUser: 'pg',
      compactAt: 4_194_304,
      warnFree: null,
      stopFree: null,
      newPorts: true,
      port: 1,
    });
    expect((await local(['status', '--json'], env)).options).toEqual({ dir: '/env', json: true });
  });

  test('what follows -- is passed on to psql', async () => {
    expect(await local(['psql', '--dir=/a', '--', '-c', 'select 1', '--dir'])).toMatchObject({
      options: { dir: '/a' },
      args: ['-c', 'select 1', '--dir'],
    });
  });

  test('the name of a compute comes before what is for psql', async () => {
    for (const argv of [
      ['psql', 'dev@2 hours ago', '-c', 'select 1'],
      ['psql', 'dev@2 hours ago', '--', '-c', 'select 1'],
    ])
      expect((await local(argv)).args).toEqual(['dev@2 hours ago', '-c', 'select 1']);
  });

  test('a command has its other name, too, and takes several arguments', async () => {
    expect((await local(['ls', '--json'])).name).toBe('list');
    expect(await local(['rename', 'a', 'b'])).toMatchObject({ name: 'rename', args: ['a', 'b'] });
    expect((await local(['branch', 'dev', '--ttl', '2h', '--keep', '7d'])).options).toMatchObject({
      from: 'main',
      at: null,
      ttl: 7200,
      keep: 604_800,
    });
    await expect(local(['create', 'a', '--ttl', '2 parsecs'])).rejects.toThrow(
      'Expected a time above 0 such as',
    );
  });

  test.each([
    [['up', '--at-lsn', '0/1', '--replica'], 'cannot be used with'],
    [['up', '--yes'], 'unknown option'],
    [['status', 'x', 'y'], 'too many arguments'],
    [['storage'], "required option '--dir <DIR>' not specified"],
    [['nothing'], 'unknown command'],
    [['--version'], '1.2.3'],
  ])('%j: %s', async (argv, message) => {
    await expect(local(argv)).rejects.toThrow(CommanderError);
    await expect(local(argv)).rejects.toThrow(message);
  });

  test('a wrong variable is named, with the help to look into', () =>
    expect(local(['up'], { COMPUTE_LOCAL_COMPACT_AT: '1' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('environment variable COMPUTE_LOCAL_COMPACT_AT is invalid') as string,
      hint: "see 'compute-local up --help'",
    }));
});

test('vm-monitor has the defaults of the monitor inside compute_ctl', () => {
  const command = buildCommand(vmMonitor.name, vmMonitor.main);
  command.parse(['-c', 'group'], { from: 'user' });
  const env = { COMPUTE_CTL_CGROUP_ROOT: '/groups' };
  expect(readOptions(command, vmMonitor.main.options, env)).toEqual({
    cgroup: 'group',
    pgconnstr: null,
    addr: '0.0.0.0:10301',
    cgroupRoot: '/groups',
    osUser: 'postgres',
    logFormat: 'text',
  });
});
