import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import {
  asFirst,
  firstProcess,
  makeOrphans,
  runBeside,
  whyNoNamespaces,
  zombiesOf,
} from '../support/first-process.ts';
import { queryLocal, targetOf } from '../support/local.ts';
import { eventually, programFile } from '../support/program.ts';
import { memoryDir, scratchDir } from '../support/scratch.ts';

const why = whyNoNamespaces();
const node = process.execPath;
const orphans = 1000;

interface Running {
  readonly child: ChildProcess;
  /** Process 1 of its namespace. */
  readonly pid: number;
  readonly output: () => string;
}

const started: ChildProcess[] = [];
const dirs: string[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill('SIGKILL');
    await eventually('the end', () => child.exitCode ?? child.signalCode ?? undefined);
  }
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function startAsFirst(command: readonly string[]): Promise<Running> {
  const [unshare, ...args] = [...asFirst, ...command] as [string, ...string[]];
  const child = spawn(unshare, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const pid = await firstProcess(child, () => text);
  return { child, pid, output: () => text };
}

/** A compute_ctl that waits for its first spec. */
async function waiting(): Promise<string[]> {
  const dir = scratchDir('pid1');
  dirs.push(dir);
  const config = join(dir, 'config.json');
  writeFileSync(config, JSON.stringify({ compute_ctl_config: { jwks: { keys: [] } } }));
  const [port, external, internal] = [await freePort(), await freePort(), await freePort()];
  const ports = ['--external-http-port', String(external), '--internal-http-port', String(internal)];
  const connstr = `postgresql://cloud_admin@127.0.0.1:${port}/postgres`;
  return [
    node,
    programFile('compute_ctl'),
    '-D',
    join(dir, 'pgdata'),
    '-C',
    connstr,
    '-c',
    config,
    '-i',
    'compute-1',
    ...ports,
  ];
}

const inShell = (command: readonly string[], line: string): string[] => ['bash', '-c', line, ...command];

/** How it may be run, and what follows: the table of docs/container.md. `stops`: SIGTERM to process 1 reaches compute_ctl. */
const ways = [
  { name: 'compute_ctl alone', as: (one: string[]) => one, left: orphans, stops: true, warns: true },
  { name: 'tini', as: (one: string[]) => ['tini', '-s', '--', ...one], left: 0, stops: true, warns: false },
  {
    name: 'catatonit',
    as: (one: string[]) => ['catatonit', '--', ...one],
    left: 0,
    stops: true,
    warns: false,
  },
  {
    name: 'bash -c that becomes it',
    as: (one: string[]) => inShell(one, 'exec "$0" "$@"'),
    left: orphans,
    stops: true,
    warns: true,
  },
  {
    name: 'bash -c with one command',
    as: (one: string[]) => inShell(one, '"$0" "$@"'),
    left: orphans,
    stops: true,
    warns: true,
  },
  {
    name: 'bash -c that stays',
    as: (one: string[]) => inShell(one, '"$0" "$@"; exit $?'),
    left: 0,
    stops: false,
    warns: false,
  },
] as const;

describe.skipIf(why !== '')(`process 1 of a container${why && `: ${why}`}`, () => {
  describe.each(ways)('$name', ({ as, left, stops, warns }) => {
    const command = as(['']);
    const missing = spawnSync('sh', ['-c', `command -v ${command[0]}`]).status !== 0 && command[0] !== '';
    test.skipIf(missing)(
      `of ${orphans} orphans ${left} stay${missing ? `: ${command[0]} is not installed` : ''}`,
      async () => {
        const { child, pid, output } = await startAsFirst(as(await waiting()));
        await eventually(
          'its servers',
          () => {
            if (child.exitCode !== null) throw new Error(output());
            return output().includes('internal HTTP server listening') || undefined;
          },
          20_000,
        );
        makeOrphans(pid, orphans);
        // Those that are waited for may take a moment.
        await eventually(
          `${left} zombies, not ${zombiesOf(pid)}`,
          () => zombiesOf(pid) === left || undefined,
          20_000,
        );
        const warnings = output().match(/is process 1,.*docker run --init/g) ?? [];
        expect(warnings).toHaveLength(warns ? 1 : 0);
        process.kill(pid, 'SIGTERM');
        const ended = async (): Promise<string> =>
          eventually('the end', () => (child.exitCode === null ? undefined : 'ended'), 30_000);
        // What bash ignores leaves no trace, but compute_ctl would have ended.
        const after = stops ? await ended() : runBeside(pid, 'sleep 1; echo alive').trim();
        expect(after).toBe(stops ? 'ended' : 'alive');
      },
    );
  });

  test('compute_ctl that is not process 1 does not warn', async () => {
    const [command, ...args] = (await waiting()) as [string, ...string[]];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    started.push(child);
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await eventually(
      'its servers',
      () => text.includes('internal HTTP server listening') || undefined,
      20_000,
    );
    expect(text).not.toContain('process 1');
  });

  test('compute-local as process 1 comes back after the end of Postgres and of compute_ctl, whose processes stay as zombies', async () => {
    const dir = memoryDir();
    dirs.push(dir);
    const [port, http] = [await freePort(), await freePort()];
    const ports = ['--port', String(port), '--http-port', String(http)];
    const { child, pid, output } = await startAsFirst([
      node,
      programFile('compute-local'),
      'up',
      '--dir',
      dir,
      '--json',
      ...ports,
    ]);
    await eventually('the start', () => output().includes('"event":"ready"') || undefined, 120_000);
    expect(output()).toContain('compute-local is process 1');
    const [, url = ''] = /"event":"ready","url":"([^"]+)"/.exec(output()) ?? [];
    const ask = (sql: string) => queryLocal(targetOf(url), sql);
    await ask('create table kept as select 1 as one');
    for (const file of ['pgdata/postmaster.pid', 'compute_ctl.pid']) {
      const text = readFileSync(join(dir, file), 'utf8');
      const killed = file.endsWith('postmaster.pid')
        ? text.split('\n')[0]
        : (JSON.parse(text) as { pid: number }).pid;
      runBeside(pid, `kill -9 ${killed}`);
      await eventually(`a new ${file}`, () => readFileSync(join(dir, file), 'utf8') !== text || undefined);
      const [row] = await eventually('its answer', () => ask('select one from kept'), 60_000);
      expect(row).toEqual({ one: 1 });
    }
    expect(zombiesOf(pid)).toBeGreaterThan(0);
    process.kill(pid, 'SIGTERM');
    await eventually('the end', () => child.exitCode ?? undefined, 60_000);
    expect(child.exitCode).toBe(0);
  });
});
