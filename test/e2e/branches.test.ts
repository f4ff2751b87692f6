import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Listed } from '../../src/local/branches/list.ts';
import { rigPerTest, queryLocal as query, targetOf } from '../support/local.ts';
import { eventually, startProgram } from '../support/program.ts';

const it = rigPerTest();

/** Runs a command that must be refused with a code of the error. */
async function refused(code: string, ...args: string[]): Promise<string> {
  const { code: exit, stderr } = await it.command(...args);
  // The code of a usage error is its exit code.
  const isUsage = code === 'usage';
  const found = { exit, named: isUsage || stderr.includes(`Code: ${code}`), stderr };
  expect(found).toEqual({ exit: isUsage ? 2 : 1, named: true, stderr });
  return stderr;
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
const list = async (): Promise<Listed[]> =>
  (JSON.parse(await it.ok('ls', '--json')) as { computes: Listed[] }).computes;
const count = 'select count(*)::int as n from t';
const point = `select pg_current_wal_insert_lsn()::text as lsn, clock_timestamp()::text as at`;

test('a branch has the data of its parent at any point, and its own from then on; the parent goes on', async () => {
  const { program, to: main } = await it.upAndReady();
  await query(main, 'create table t (n int); insert into t values (1)');
  const [before] = await query(main, point);
  await query(main, 'insert into t values (2)');
  const postmaster = it.pidOf('postgres');

  // At an LSN, at a moment, and now.
  const early = targetOf(lastLine(await it.ok('branch', 'early', '--at', String(before?.['lsn']))));
  const options = ['--compact-at=32MB', '--suspend-after=7min', '--suspend-ignore=app:probe', '--listen-all'];
  const dev = targetOf(lastLine(await it.ok('branch', 'dev', '--ttl', '2h', ...options)));
  expect([await query(early, count), await query(dev, count)]).toEqual([[{ n: 1 }], [{ n: 2 }]]);
  const seen = await it.ok('psql', `main@${String(before?.['at'])}`, '-tAc', 'select count(*) from t');
  expect(seen.trim()).toBe('1');

  // Each has its own changes, and the parent did not stand still.
  await query(dev, 'insert into t select generate_series(1, 10)');
  await query(main, 'delete from t');
  expect([await query(early, count), await query(dev, count), await query(main, count)]).toEqual([
    [{ n: 1 }],
    [{ n: 12 }],
    [{ n: 0 }],
  ]);
  expect(it.pidOf('postgres')).toBe(postmaster);
  await query(dev, 'alter table t add column m text');
  const differs = await it.command('diff', 'dev');
  expect([differs.code, differs.stderr]).toEqual([3, '']);
  expect(differs.stdout).toMatch(/^--- main\n\+\+\+ dev\n@@ .* @@\n/);
  expect(differs.stdout).toMatch(/^\+ {4}m text$/m);
  const between = await it.command('diff', 'main', 'dev');
  expect([between.code, between.stdout]).toEqual([3, differs.stdout]);
  expect(await it.ok('diff', 'early', 'main')).toBe('');

  // A branch of a branch, which shares the same files.
  await it.ok('branch', 'child', '--from', 'dev', '--stopped');
  const shown = await list();
  expect(shown.map(({ name, parent, state }) => [name, parent, state])).toEqual([
    ['main', null, 'running'],
    ['dev', 'main', 'running'],
    ['child', 'dev', 'stopped'],
    ['early', 'main', 'running'],
  ]);
  const child = shown.find(({ name }) => name === 'child');
  expect(child?.storage_bytes).toBeLessThan(2 * 1024 * 1024);
  expect(child?.shared_bytes).toBeGreaterThan(1024 * 1024);
  expect(shown.find(({ name }) => name === 'dev')?.expires_at).toMatch(/Z$/);
  expect(await it.ok('list')).toMatch(/^NAME .*\nmain /);

  // What is in use stays; what is missing is deleted already.
  expect(await refused('conflict', 'delete', 'dev')).toContain('child began with its data');
  expect(await refused('conflict', 'reset', 'dev')).toContain('child began with its data');
  expect(await refused('conflict', 'rename', 'dev', 'other')).toContain('while it runs');
  expect(await refused('conflict', 'branch', 'dev')).toContain('already');
  expect(await refused('usage', 'delete', 'main')).toContain('reset');
  expect(await refused('not_found', 'branch', 'x', '--from', 'none')).toContain('main, child, dev, early');
  expect(await refused('not_found', 'branch', 'x', '--at', '200 weeks ago')).toContain('can be restored');
  await refused('usage', 'branch', 'x', '--at', 'some day');
  await it.ok('branch', 'lasting', '--ttl', '999999999w', '--stopped');
  await it.ok('delete', 'lasting');
  expect(await it.ok('delete', 'none')).toContain('There is no compute');
  await it.ok('rename', 'child', 'grandchild');
  await it.ok('rm', 'grandchild');

  // The parent's present under the same URL.
  const again = targetOf(lastLine(await it.ok('reset', 'dev')));
  expect(again).toEqual(dev);
  expect(await query(dev, count)).toEqual([{ n: 0 }]);
  expect((await it.ok('url', 'dev')).trim()).toContain(`:${dev.port}/`);
  // It runs with the options of its start.
  expect(JSON.parse(await it.ok('status', 'dev', '--json'))).toMatchObject({
    state: 'running',
    primary: 'dev',
    storage: { compaction_at_bytes: 32 * 1024 * 1024 },
  });
  expect(JSON.parse(readFileSync(join(it.dir, 'branches/dev/local.json'), 'utf8'))).toMatchObject({
    listenAll: true,
    started: { suspendAfter: 420, suspendIgnore: 'app:probe' },
  });
  const lines = await it.ok('logs', 'dev', '-n', '2');
  expect(lines).toMatch(/^.+\n.+\n$/);
  const inJson = (await it.ok('logs', 'dev', '-n', '2', '--json')).trim().split('\n');
  expect(inJson.map((one) => (JSON.parse(one) as { line: string }).line)).toHaveLength(2);
  expect(JSON.parse(await it.ok('url', 'dev', '--json'))).toEqual({
    url: (await it.ok('url', 'dev')).trim(),
  });
  expect(JSON.parse(await it.ok('token', 'dev', '--json'))).toEqual({ token: expect.stringContaining('.') });
  expect(await refused('not_found', 'diff', 'dev', '--database', 'no "such')).toContain('psql ');

  await it.ok('stop', 'early');
  expect(await refused('conflict', 'psql', 'early', '-c', 'select')).toContain('compute-local start early');
  expect(targetOf(lastLine(await it.ok('start', 'early')))).toEqual(early);
  expect(await query(early, count)).toEqual([{ n: 1 }]);
  await it.ok('stop');
  expect((await list()).map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
  expect(await program.exited()).toBe(0);
});

test('a compute of its own begins empty and is reused; a branch whose time is over goes; reset removes all', async () => {
  // Twice at once: one creates it, both wait until it is ready.
  const both = await Promise.all([it.ok('create', 'own'), it.ok('create', 'own')]);
  const own = targetOf(lastLine(both[0]));
  expect(targetOf(lastLine(both[1]))).toEqual(own);
  await query(own, 'create table t (n int); insert into t values (7)');
  expect(targetOf(lastLine(await it.ok('create', 'own', '--port', String(own.port))))).toEqual(own);
  // What it could only have after another start is not passed over.
  expect(await refused('conflict', 'create', 'own', '--port', '1')).toContain('with another --port\n');
  expect(await refused('conflict', 'start', 'own', '--keep', '1d', '--listen-all')).toMatch(
    /"own" runs already, with another --(keep, --listen-all|listen-all, --keep)\n/,
  );
  expect(await refused('usage', 'create', 'main', '--stopped')).toContain('--stopped is not for main');
  await refused('usage', 'branch', 'x', '--from', 'own', '--ttl', '0');
  expect(await query(own, count)).toEqual([{ n: 1 }]);
  const [only] = await list();
  expect(only).toMatchObject({ name: 'own', parent: null, state: 'running' });

  // What cannot be entered is somebody else's, and in nobody's way.
  const foreign = join(it.dir, 'branches/foreign');
  mkdirSync(join(foreign, 'storage'), { recursive: true });
  chmodSync(foreign, 0);
  const short = await it.command('branch', 'short', '--from', 'own', '--ttl', '5s');
  // On a busy machine its time is over before it is ready.
  const ended = short.code !== 0 && short.stderr.includes('was deleted while the compute was starting');
  expect(ended || targetOf(lastLine(short.stdout)).port !== own.port).toBe(true);
  await eventually('it is gone', () => (existsSync(join(it.dir, 'branches/short')) ? undefined : true));
  // One that does not run goes with the next command; what somebody else put there stays.
  await it.ok('branch', 'shorter', '--from', 'own', '--ttl', '1s', '--stopped');
  await eventually('it is over', async () => {
    await it.ok('delete', 'none');
    return existsSync(join(it.dir, 'branches/shorter')) ? undefined : true;
  });
  await it.ok('branch', 'noted', '--from', 'own', '--stopped');
  writeFileSync(join(it.dir, 'branches/noted/mine.txt'), 'x');
  expect(await it.ok('delete', 'noted')).toContain('mine.txt');
  expect(readdirSync(join(it.dir, 'branches/noted'))).toEqual(['mine.txt']);
  expect(await refused('dir_refused', 'branch', 'noted', '--from', 'own', '--stopped')).toContain('noted');

  // Ctrl-C while it starts: nothing goes on in the background, and the next start begins again.
  const cut = startProgram('compute-local', ['create', 'cut', '--dir', it.dir]);
  await eventually('it is starting', () => cut.stderr().includes('Creating a new') || undefined);
  cut.kill('SIGINT');
  expect(await cut.exited(60_000)).toBe('SIGINT');
  expect((await list()).find(({ name }) => name === 'cut')).toMatchObject({ state: 'stopped' });
  expect(await it.ok('stop', 'cut')).toContain('"cut" is not running.');
  await it.ok('delete', 'cut');

  expect((await list()).map(({ name }) => name)).toEqual(['own']);
  expect(await refused('dir_refused', 'branch', 'foreign', '--from', 'own', '--stopped')).toContain(
    'foreign',
  );
  chmodSync(foreign, 0o700);
  rmSync(foreign, { recursive: true });
  const wal = join(it.dir, 'branches/own/storage');
  expect(lstatSync(wal).isDirectory()).toBe(true);
  await it.ok('reset', '--yes');
  expect(readdirSync(join(it.dir, 'branches'))).toEqual(['noted']);
});
