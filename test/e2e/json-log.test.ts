import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseConnstr } from '../../src/pg/connstr.ts';
import { withPg } from '../../src/pg/client.ts';
import { type Rig, rig } from '../support/compute.ts';
import { eventually } from '../support/program.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

type Line = Record<string, unknown>;
const words: readonly unknown[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** All lines, each of which must be an object with a level, a time that is not before that of the line before, and a text. */
function linesOf(stderr: string): Line[] {
  expect(stderr.endsWith('\n')).toBe(true);
  const lines = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  let latest = '';
  for (const line of lines) {
    expect([line, words.includes(line['level']), typeof line['msg']]).toEqual([line, true, 'string']);
    expect([line, (line['time'] as string) >= latest]).toEqual([line, true]);
    latest = line['time'] as string;
  }
  return lines;
}

test('with --log-format json every line is one object, those of PostgreSQL included, and none is out of order', async () => {
  const program = it.start({ args: ['--log-format', 'json'] });
  await it.until('running');
  const target = parseConnstr(`postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`);
  const options = {
    applicationName: 'test',
    connectMs: 10_000,
    queryMs: 10_000,
    signal: new AbortController().signal,
  };
  const failing = withPg(target, options, (pg) => pg.query('select\n1 / 0'));
  await expect(failing).rejects.toThrow('division by zero');
  await withPg(target, options, (pg) => pg.query("do $$ begin raise warning 'of\nthree\nlines'; end $$"));
  await it.http('POST', '/configure', { nonsense: true });
  await eventually('the warning', () => program.stderr().includes('three') || undefined);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  const lines = linesOf(program.stderr());
  const postgres = lines.filter(({ source }) => source === 'postgres');
  expect(postgres.length).toBeGreaterThan(5);
  for (const { pid } of postgres) expect(pid).toBeGreaterThan(1);
  const found = (msg: string): Line | undefined => postgres.find((line) => line['msg'] === msg);
  expect(found('division by zero')).toMatchObject({ level: 'error', severity: 'ERROR' });
  expect(found('select\n1 / 0')).toMatchObject({ level: 'error', severity: 'STATEMENT' });
  expect(found('of\nthree\nlines')).toMatchObject({ level: 'warn', severity: 'WARNING' });
  expect(found('database system is ready to accept connections')).toMatchObject({ level: 'info' });
  const said = (msg: string): number => lines.findIndex((line) => line['msg'] === msg);
  expect(said('database system is shut down')).toBeLessThan(said('Postgres exited with code 0'));
  expect(said('received SIGTERM')).toBeLessThan(said('received fast shutdown request'));
  expect(said('received SIGTERM')).toBeGreaterThan(0);
});

const program = (name: string): string => fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));

test('with --log-format json the reason why a program ends is an object, too', async () => {
  const config = join(it.home, 'broken.json');
  writeFileSync(config, '{');
  const pgdata = join(it.home, 'other');
  const run = ['--pgdata', pgdata, '--connstr', 'postgresql://u@127.0.0.1/postgres', '--compute-id', 'c'];
  const cases: [string, string[], number][] = [
    ['compute_ctl', ['--log-format', 'json'], 2],
    ['compute_ctl', ['--log-format=json', '--nonsense'], 2],
    ['compute_ctl', ['--nonsense', '--log-format', 'json'], 2],
    ['compute_ctl', [...run, '--log-format', 'json', '--config', join(it.home, 'missing.json')], 1],
    ['compute_ctl', [...run, '--log-format', 'json', '--config', config], 1],
    ['compute_ctl', ['check', '--log-format', 'json', '--config', config], 1],
    ['vm-monitor', ['--log-format', 'json', '--nonsense'], 2],
    ['vm-monitor', ['--log-format', 'json', '--addr', 'nonsense'], 2],
  ];
  for (const [name, args, code] of cases) {
    const { status, stderr } = spawnSync(process.execPath, [program(name), ...args], { encoding: 'utf8' });
    expect([name, args, status]).toEqual([name, args, code]);
    expect(linesOf(stderr).at(-1)).toMatchObject({
      level: 'fatal',
      error_code: expect.any(String) as string,
    });
  }
  // The same without the option stays as people know it.
  const { stderr } = spawnSync(process.execPath, [program('compute_ctl'), '--nonsense'], {
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^Error: .*\nHint: .*\n$/);
});

test('with --log-format json whatever check finds is an object, and the report stays what --json says', () => {
  const config = join(it.home, 'wrong.json');
  writeFileSync(
    config,
    JSON.stringify(it.config(it.spec({ safekeeper_connstrings: ['bad:x'], features: ['unheard_of'] }))),
  );
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [program('compute_ctl'), 'check', '--config', config, ...args], {
      encoding: 'utf8',
    });
  const { status, stdout, stderr } = run('--log-format', 'json', '--json');
  const report = JSON.parse(stdout) as Record<'errors' | 'warnings', { text: string }[]>;
  expect([status, report.errors.length > 0, report.warnings.length > 0]).toEqual([1, true, true]);
  const said = linesOf(stderr).map(({ level, msg, hint }) => ({ level, msg, hint }));
  const wanted = (level: string, list: { text: string; hint?: string }[]): object[] =>
    list.map(({ text: msg, hint }) => ({ level, msg, hint }));
  expect(said).toEqual(
    expect.arrayContaining([...wanted('error', report.errors), ...wanted('warn', report.warnings)]),
  );
  const asText = run('--log-format', 'json');
  expect(linesOf(asText.stderr).length).toBe(said.length);
  expect(asText.stdout).toMatch(/\ninvalid: .*\n$/);
  expect(run().stderr).toMatch(/^Error: /);
});

test('with --log-format json a start that fails ends in objects', async () => {
  it.pageserver.script.fault = 'error-before';
  it.pageserver.script.error = { sqlstate: 'XX000', message: 'Not found: tenant' };
  const program = it.start({ args: ['--log-format', 'json'] });
  expect(await program.exited()).toBe(1);
  const lines = linesOf(program.stderr());
  expect(lines.some(({ level, msg }) => level === 'error' && String(msg).includes('Not found'))).toBe(true);
});

test('with --empty-counts-as-started a compute without a spec passes the startup probe, and is not ready', async () => {
  const program = it.start({ spec: null, args: ['--empty-counts-as-started'] });
  await it.until('empty');
  const { status, body } = await it.http('GET', '/startupz');
  expect([status, JSON.parse(body)]).toEqual([
    200,
    {
      status: 'empty',
      since: expect.any(String) as string,
      reason: expect.stringContaining('no spec') as string,
    },
  ]);
  const ready = await it.http('GET', '/readyz');
  expect([ready.status, ready.json()]).toEqual([
    503,
    expect.objectContaining({ reason: 'no spec yet: waiting for POST /configure' }),
  ]);
  expect((await it.http('POST', '/configure', it.config(it.spec()))).status).toBe(200);
  expect((await it.http('GET', '/startupz')).json()).not.toHaveProperty('reason');
  expect((await it.http('GET', '/readyz')).status).toBe(200);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});
