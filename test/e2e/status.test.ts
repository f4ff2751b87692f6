import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StatusReport, statusSchema } from '../../src/local/status/schema.ts';
import { connectPg, destroyPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { freePort } from '../support/cluster.ts';
import { type LocalRig, localRig, queryLocal, targetOf } from '../support/local.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { type Program, eventually, programFile, startProgram } from '../support/program.ts';

let it: LocalRig;
const children: ChildProcess[] = [];
const nobody = { uid: 65_534, gid: 65_534 };
beforeAll(() => {
  it = localRig();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await it.command('stop');
  await it.clean();
}, 120_000);

interface Told {
  readonly code: number | NodeJS.Signals;
  readonly report: StatusReport;
}

/** Runs `status --json`, whose answer must be what the reference says. */
async function status(): Promise<Told> {
  const { code, stdout, stderr } = await it.command('status', '--json');
  expect(stderr).toBe('');
  const report = v.parse(statusSchema, JSON.parse(stdout));
  expect(report).toEqual(JSON.parse(stdout));
  return { code, report };
}

/** Waits for a status; on a busy machine it may take a while until everything is as a test wants it. */
const statusWith = (what: string, is: (told: Told) => boolean): Promise<Told> =>
  eventually(
    what,
    async () => {
      const told = await status();
      if (is(told)) return told;
      throw new Error(JSON.stringify(told));
    },
    60_000,
  );

const named = ({ computes }: StatusReport, name: string): StatusReport['computes'][number] => {
  const found = computes.find((one) => one.name === name);
  if (found === undefined) throw new Error(`${name} is not listed: ${JSON.stringify(computes)}`);
  return found;
};

const say = async (...args: string[]): Promise<string> => (await it.command(...args)).stdout.trim();

const asSuperuser = (run: string, port: number): PgTarget => ({
  host: run,
  port,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
  options: '',
});

const computeOf = (token: string): unknown =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>)[
    'compute_id'
  ];

const problemsOf = ({ problems }: StatusReport): string[] =>
  problems.map(({ kind, about }) => `${kind} ${about}`);

const programs: { main: Program | null; replica: Program | null } = { main: null, replica: null };

/** What `watch --json` prints, as long as it runs. */
function watching(): { program: Program; reports: () => StatusReport[] } {
  const program = startProgram('compute-local', ['watch', '--json', '--dir', it.dir]);
  const lines = (): string[] => program.stdout().split('\n').slice(0, -1);
  return { program, reports: () => lines().map((line) => v.parse(statusSchema, JSON.parse(line))) };
}

describe('compute-local status, and the commands that find a compute by it', () => {
  test('says that there is nothing yet, with the exit code of what does not run', async () => {
    const { code, report } = await status();
    expect([code, report.state, report.computes, report.storage]).toEqual([3, 'absent', [], null]);
    expect(await say('status')).toContain('there is no database yet. Create one with: compute-local up');
    expect(readdirSync(it.dir)).toEqual([]);
  });

  test('tells a start from something that is wrong, and a running primary with its ports, LSN and disk', async () => {
    const watch = watching();
    await eventually('watch has begun', () => (watch.reports().length > 0 ? true : undefined));
    expect(watch.reports()[0]?.state).toBe('absent');
    const up = it.upAndReady();
    const early = await statusWith('the start is seen', ({ report }) => report.pid !== null);
    expect([early.code, early.report.problems]).toEqual([early.report.running ? 0 : 3, []]);
    programs.main = (await up).program;
    const { code, report } = await statusWith('it runs', (told) => told.code === 0);
    expect([code, report.state, report.running, report.problems]).toEqual([0, 'running', true, []]);
    expect(report).toMatchObject({ dir: it.dir, pid: programs.main.pid, primary: 'main' });
    const { ports } = it.state();
    expect(named(report, 'main')).toMatchObject({
      role: 'primary',
      state: 'running',
      ports: {
        postgres: ports['postgres'],
        http: ports['externalHttp'],
        internal_http: ports['internalHttp'],
      },
      postgres_pid: it.pidOf('postgres'),
      compute_ctl_pid: it.pidOf('compute_ctl'),
      lag: null,
      exits: 0,
    });
    expect(report.storage).toMatchObject({
      state: 'running',
      pid: it.pidOf('storage'),
      attached: true,
      base: { number: 1, postgres_major: defaultPostgres().major },
      ports: { control_plane: ports['controlPlane'] },
    });
    for (const part of ['total_bytes', 'base_bytes', 'wal_bytes', 'data_bytes', 'log_bytes'] as const)
      expect(report.disk?.[part]).toBeGreaterThan(0);
    expect(report.disk?.complete).toBe(true);
    await expect.poll(() => watch.reports().at(-1)).toMatchObject({ state: 'running', pid: report.pid });
    watch.program.kill('SIGINT');
    expect(await watch.program.exited()).toBe(0);
    expect(watch.program.stderr()).toBe('');
  });

  test('shows people a table without colours in a pipe', async () => {
    const text = await eventually('it runs', async () => {
      const { code, stdout } = await it.command('status');
      return code === 0 ? stdout : undefined;
    });
    expect(text).not.toContain('\u001B');
    const lines = text.split('\n');
    expect(lines[0]).toMatch(new RegExp(`^compute-local in ${it.dir}: running as pid \\d+ for `));
    expect(lines[2]).toMatch(/^NAME +ROLE +STATE +PORT +HTTP +INTERNAL +PID +LSN +LAG +SESSIONS +DISK$/);
    expect(lines[3]).toMatch(/^main +primary +running +\d+ +\d+ +\d+ +\d+ +\w+\/\w+ +- +0 +[\d.]+ MB$/);
    // Every column begins where its title does.
    for (const title of ['ROLE', 'STATE', 'PORT', 'LSN', 'DISK'])
      expect(lines[3]?.[(lines[2] ?? '').indexOf(title) - 1]).toBe(' ');
    expect(text).toMatch(/Restorable +\w+\/\w+ to \w+\/\w+/);
    expect(text).toMatch(/Base backup +number 1 of PostgreSQL/);
    expect(text).toMatch(/Disk +[\d.]+ MB: base backups .*\n +[\d.]+ \w+ of [\d.]+ \w+ free; /);
  });

  test.each([
    ['beyond the end', '7F/0', 1, 'the LSN 7F/0 does not exist yet'],
    ['before the base backup', '0/10', 1, 'the LSN 0/10 is older than the base backup'],
    ['malformed', '0x16B3748', 2, '--at-lsn "0x16B3748" is not an LSN'],
  ])(
    'a view at an LSN that is %s fails at once with the range that exists, before anything is created',
    async (_, lsn, exit, why) => {
      const { report } = await status();
      const { code, stderr } = await it.command('up', '--at-lsn', lsn, '--name', 'nowhere');
      expect({ code, stderr }).toMatchObject({ code: exit, stderr: expect.stringContaining(why) as string });
      expect(stderr).toContain(`the storage can show ${report.storage?.restorable?.from_lsn} to `);
      expect(existsSync(join(it.dir, 'nodes', 'nowhere'))).toBe(false);
    },
  );

  test('a view at the newest LSN that the primary names waits until the storage has it', async () => {
    const main = targetOf(await say('url'));
    await queryLocal(main, 'create table t as select 1 as n');
    // Nothing waits for the storage here, and the LSN lies in the header of a page that is still empty.
    const { ports } = it.state();
    const admin = asSuperuser(join(it.dir, 'run'), ports['postgres'] ?? 0);
    await queryLocal(admin, 'select pg_switch_wal()');
    const [row] = await queryLocal(admin, 'select pg_current_wal_insert_lsn()::text as lsn');
    const past = String(row?.['lsn']);
    const { to } = await it.upAndReady(['--at-lsn', past, '--name', 'then']);
    await queryLocal(main, 'insert into t values (2)');
    expect(await queryLocal(to, 'select n from t')).toEqual([{ n: 1 }]);
  });

  test('a node cannot have the name of the main compute', async () => {
    const { code, stderr } = await it.command('up', '--replica', '--name', 'main');
    expect(code).toBe(2);
    expect(stderr).toContain('cannot have the name "main"');
  });

  test('lists replicas with their lag, and views with their LSN', async () => {
    programs.replica = (await it.upAndReady(['--replica'])).program;
    const { code, report } = await statusWith(
      'the replica has replayed everything',
      (told) => told.code === 0 && named(told.report, 'replica').lag?.bytes === 0,
    );
    expect([code, report.computes.map(({ name }) => name)]).toEqual([0, ['main', 'replica', 'then']]);
    expect(named(report, 'replica')).toMatchObject({
      role: 'replica',
      state: 'running',
      up_pid: programs.replica.pid,
      lag: { bytes: 0, seconds: 0 },
    });
    expect(named(report, 'then')).toMatchObject({ role: 'view', state: 'running', lag: null });
    expect(named(report, 'then').at_lsn).toMatch(/^\w+\/\w+$/);
    expect(new Set(report.computes.map(({ ports }) => ports.postgres)).size).toBe(3);
  });

  test('a replica that replays nothing shows how far it is behind', async () => {
    const { ports } = named((await status()).report, 'replica');
    const replica = asSuperuser(join(it.dir, 'nodes/replica/run'), ports.postgres);
    await queryLocal(replica, 'select pg_wal_replay_pause()');
    await queryLocal(targetOf(await say('url')), 'insert into t select generate_series(1, 1000)');
    const { report } = await statusWith(
      'it lags',
      (told) => told.code === 0 && (named(told.report, 'replica').lag?.bytes ?? 0) > 10_000,
    );
    expect(named(report, 'replica').lag?.seconds).toBeGreaterThan(0);
    const line = /^replica +replica +running .* [\d.]+ kB, /m;
    await eventually('people see it', async () => line.exec(await say('status')) ?? undefined);
    await queryLocal(replica, 'select pg_wal_replay_resume()');
  });

  test('url, psql and token take the name of a compute, and name those that exist', async () => {
    const { report } = await status();
    for (const name of ['main', 'replica', 'then']) {
      const { port } = new URL(await say('url', '--name', name));
      expect(Number(port)).toBe(named(report, name).ports.postgres);
      expect(await say('psql', '--name', name, '-XAtc', 'show port')).toBe(port);
      const id = name === 'main' ? 'compute-local' : `compute-local-${name}`;
      expect(computeOf(await say('token', '--name', name))).toBe(id);
    }
    for (const command of ['url', 'psql', 'token']) {
      const { code, stderr } = await it.command(command, '--name', 'nope');
      expect(code).toBe(1);
      expect(stderr).toContain('there is no compute with the name "nope"');
      expect(stderr).toContain('the names are: main, replica, then;');
    }
    expect((await it.command('url', '--name', 'Not/A/Name')).code).toBe(2);
  });

  test('a Postgres in which no log-in comes to its end delays status by its limit, and all else is shown', async () => {
    const { ports } = named((await status()).report, 'main');
    const admin = asSuperuser(join(it.dir, 'run'), ports.postgres);
    const signal = new AbortController().signal;
    const client = await connectPg(admin, { applicationName: 'test', connectMs: 5000, signal });
    try {
      // Every log-in looks its role up here.
      await client.query('begin');
      await client.query('lock table pg_catalog.pg_authid in access exclusive mode');
      const { code, report } = await statusWith(
        'the silence of one alone',
        (told) => problemsOf(told.report).join(', ') === 'no_answer main',
      );
      expect(code).toBe(4);
      expect(report.problems[0]?.message).toMatch(/^Postgres \(pid \d+\): no answer for 2 s$/);
      expect(named(report, 'main')).toMatchObject({ state: 'no_answer', lsn: null });
      expect(named(report, 'then')).toMatchObject({ state: 'running' });
      expect(report.storage).toMatchObject({ state: 'running' });
      expect(await say('status')).toMatch(
        /^Problems\n {2}main: Postgres .* no answer for 2 s\n {4}What to do: /m,
      );
    } finally {
      destroyPg(client);
    }
    await statusWith('all is well again', ({ code }) => code === 0);
  });

  test.each(['storage', 'compute_ctl', 'postgres'] as const)(
    'a %s that is suspended is called that, and all else is shown',
    async (what) => {
      const pid = it.pidOf(what) ?? -1;
      process.kill(pid, 'SIGSTOP');
      try {
        const { code, report } = await status();
        const about = what === 'storage' ? 'storage' : 'main';
        expect(code).toBe(4);
        expect(problemsOf(report)).toContain(`suspended ${about}`);
        expect(report.problems.find((one) => one.about === about)).toMatchObject({
          hint: `let it continue: kill -CONT ${pid}`,
        });
        const state = what === 'storage' ? report.storage?.state : named(report, 'main').state;
        expect(state).toBe('no_answer');
        expect(named(report, 'then').state).toBe('running');
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await statusWith('all is well again', (told) => told.code === 0);
    },
  );

  test('damaged files of a node and of a promotion are named, and the rest is shown', async () => {
    mkdirSync(join(it.dir, 'nodes', 'broken'));
    writeFileSync(join(it.dir, 'nodes', 'broken', 'node.json'), '{');
    writeFileSync(join(it.dir, 'primary.json'), 'null');
    try {
      const { code, report } = await statusWith('only those', (told) => told.report.problems.length === 2);
      expect(code).toBe(4);
      expect(problemsOf(report)).toEqual([
        `unreadable ${join(it.dir, 'nodes/broken')}`,
        `unreadable ${join(it.dir, 'primary.json')}`,
      ]);
      expect(named(report, 'main')).toMatchObject({ role: 'primary', state: 'running' });
      expect((await it.command('url')).stderr).toContain('which names the primary, cannot be read');
      expect((await it.command('url', '--name', 'then')).code).toBe(0);
    } finally {
      rmSync(join(it.dir, 'nodes', 'broken'), { recursive: true });
      rmSync(join(it.dir, 'primary.json'));
    }
  });

  test('after a promotion the primary is the promoted one, for status, url, psql and token', async () => {
    expect(await it.command('promote')).toMatchObject({ code: 0 });
    const { code, report } = await statusWith(
      'the former primary follows',
      (told) => told.code === 0 && named(told.report, 'main').lag?.bytes === 0,
    );
    expect([code, report.primary, report.problems]).toEqual([0, 'replica', []]);
    expect(named(report, 'replica')).toMatchObject({ role: 'primary', state: 'running', lag: null });
    expect(named(report, 'main')).toMatchObject({ role: 'replica', state: 'running', exits: 1 });
    const { ports } = named(report, 'replica');
    expect(Number(new URL(await say('url')).port)).toBe(ports.postgres);
    expect(await say('psql', '-XAtc', 'insert into t values (3) returning n')).toContain('3');
    expect(computeOf(await say('token'))).toBe('compute-local-replica');
    const main = await say('psql', '--name', 'main', '-XAtc', 'select pg_is_in_recovery()');
    expect(main).toBe('t');
  });

  test('a view cannot take the name of the primary, and main cannot be promoted', async () => {
    const view = await it.command('up', '--at-lsn', '0/1000000', '--name', 'replica');
    expect(view).toMatchObject({ code: 1 });
    expect(view.stderr).toContain('"replica" is the primary');
    const again = await it.command('promote', '--name', 'main');
    expect(again.stderr).toContain('end compute-local up and start it again');
  });

  test('a promoted primary that does not run any more is missed, with both ways out', async () => {
    programs.replica?.kill('SIGTERM');
    expect(await programs.replica?.exited(60_000)).toBe(0);
    const { code, report } = await statusWith('it is missed', ({ report: { problems } }) =>
      problems.some(({ kind }) => kind === 'no_primary'),
    );
    expect(code).toBe(4);
    expect(report.problems.find(({ kind }) => kind === 'no_primary')?.hint).toContain(
      'compute-local up --replica --name replica',
    );
    const { program } = await it.upAndReady(['--replica']);
    expect((await statusWith('it is back', (told) => told.code === 0)).report.primary).toBe('replica');
    program.kill('SIGKILL');
    await program.exited();
    const { report: left } = await status();
    expect(problemsOf(left)).toContain('orphaned replica');
    await it.command('stop');
  });

  test('what a stop left is not running, and the range is read from the disk', async () => {
    const { code, report } = await status();
    expect([code, report.state, report.pid, report.problems]).toEqual([3, 'stopped', null, []]);
    expect(report.computes.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(report.storage).toMatchObject({ state: 'stopped', pid: null });
    expect(report.storage?.restorable?.to_lsn).toMatch(/^\w+\/\w+$/);
    // A promotion ends with the `up` that it was made under.
    expect([report.primary, computeOf(await say('token'))]).toEqual(['main', 'compute-local']);
    expect(await say('status')).toContain('not running. Start it with: compute-local up');
  });

  test('pid files of processes that have ended mean nothing, also when another process has their pid', async () => {
    for (const file of ['up.pid', 'compute_ctl.pid', 'storage.pid'])
      writeFileSync(join(it.dir, file), JSON.stringify({ pid: process.pid, started: 'before:1' }));
    writeFileSync(join(it.pgdata, 'postmaster.pid'), `${process.pid}\n${it.pgdata}\n`);
    const { code, report } = await status();
    expect([code, report.state, report.pid]).toEqual([3, 'stopped', null]);
    rmSync(join(it.pgdata, 'postmaster.pid'));
  });

  test('a storage alone is shown, and called what it is', async () => {
    // Another program may have taken its ports meanwhile.
    const path = join(it.dir, 'local.json');
    const known = it.state();
    const [pageserver, safekeeper, controlPlane] = [await freePort(), await freePort(), await freePort()];
    const ports = { ...known.ports, pageserver, safekeeper, controlPlane };
    writeFileSync(path, JSON.stringify({ ...known, ports }));
    const args = [programFile('compute-local'), 'storage', '--dir', it.dir];
    const env = { ...process.env, COMPUTE_LOCAL_PG_BIN_DIR: defaultPostgres().bindir };
    const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/' });
    children.push(child);
    const { code, report } = await statusWith(
      'the storage',
      (told) => told.report.storage?.state === 'running',
    );
    expect([code, report.storage?.pid, problemsOf(report)]).toEqual([4, child.pid, ['orphaned storage']]);
    expect(await it.command('stop')).toMatchObject({ code: 0 });
    expect((await status()).report.state).toBe('stopped');
  });

  test('what a killed up has left running is shown with the way to end it', async () => {
    const { program } = await it.upAndReady(['--new-ports']);
    const storage = it.pidOf('storage') ?? -1;
    // It would end the compute, and then itself.
    process.kill(storage, 'SIGSTOP');
    program.kill('SIGKILL');
    await program.exited();
    const { code, report } = await status();
    expect(code).toBe(4);
    expect(report.pid).toBeNull();
    expect(problemsOf(report)).toEqual(['suspended storage', 'orphaned main']);
    expect(report.problems[1]?.hint).toContain('compute-local stop');
    process.kill(storage, 'SIGCONT');
    await it.command('stop');
    expect((await status()).code).toBe(3);
  });

  test('a damaged local.json is named, and a missing one with what to do', async () => {
    const path = join(it.dir, 'local.json');
    const content = readFileSync(path, 'utf8');
    writeFileSync(path, '{');
    const damaged = await status();
    expect([damaged.code, problemsOf(damaged.report)]).toEqual([4, [`unreadable ${path}`]]);
    rmSync(path);
    const missing = await status();
    expect([missing.code, missing.report.problems[0]?.message]).toEqual([
      4,
      `${path} is missing, but the storage holds a database`,
    ]);
    writeFileSync(path, content);
  });

  test.runIf(process.getuid?.() === 0)(
    "another user's database is not half shown: its owner is named",
    () => {
      chmodSync(it.dir, 0o755);
      for (const command of ['status', 'url', 'psql', 'token']) {
        const args = [programFile('compute-local'), command, '--dir', it.dir];
        const { status: code, stderr } = spawnSync(process.execPath, args, { ...nobody, cwd: '/' });
        expect([code, stderr.toString()]).toEqual([1, expect.stringMatching(/belongs to the user \w+/)]);
      }
    },
  );
});
