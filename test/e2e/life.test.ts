import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually, startProgram } from '../support/program.ts';
import { watchersOf } from '../support/watcher.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const signal = new AbortController().signal;

const query = (sql: string, user = 'cloud_admin', password = '', database = 'postgres') =>
  withPg(
    { host: '127.0.0.1', port: it.port, user, password: new Secret(password), database, options: '' },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
    async (pg) => (await pg.query(sql)).rows,
  );

/** md5 of `secret` + `app`, as a control plane sends it: without its prefix. */
const app = { name: 'app', encrypted_password: 'ec1f1b2e83e8a6c4b5f8ea0a1bcb9d9a', options: null };

const postmasterPid = (): number =>
  Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);

test('a spec in a file becomes a running Postgres with its roles and databases; terminate says where its WAL ends', async () => {
  const spec = it.spec();
  const cluster = spec['cluster'] as { roles: object[]; databases: object[] };
  cluster.roles = [app];
  cluster.databases = [{ name: 'shop', owner: 'app', options: null }];
  const program = it.start({ spec });
  const status = await it.until('running');
  expect(status).toMatchObject({ tenant: spec['tenant_id'], timeline: spec['timeline_id'], error: null });
  expect(await query("select pg_get_userbyid(datdba) owner from pg_database where datname = 'shop'")).toEqual(
    [{ owner: 'app' }],
  );
  const figures = (await it.http('GET', '/metrics.json')).json<Record<string, number>>();
  expect(Object.keys(figures)).toHaveLength(13);
  expect(figures['total_startup_ms']).toBeGreaterThan(0);
  expect(figures['basebackup_bytes']).toBeGreaterThan(1000);
  expect((await it.http('GET', '/metrics')).body).toContain(
    'compute_ctl_up{build_tag="latest",status="running"} 1',
  );
  expect(await it.http('POST', '/terminate?mode=immediate')).toMatchObject({
    status: 200,
    body: '{"lsn":"0/169B1D8"}',
  });
  expect(await program.exited()).toBe(0);
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('the oldest command line works: bare spec in a file, no compute id, postgres found in PATH', async () => {
  const { suspend_timeout_seconds: _, ...older } = it.spec();
  const file = join(it.home, 'spec.json');
  writeFileSync(file, JSON.stringify(older));
  const program = it.run(['-S', file, '-b', 'postgres']);
  await eventually('readiness', async () => (await it.http('GET', '/readyz')).status === 200 || undefined);
  expect(await query('select 1 one')).toEqual([{ one: 1 }]);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('a compute without a spec starts empty, answers its probes, and starts when it is configured', async () => {
  const program = it.start({ spec: null });
  await it.until('empty');
  expect((await it.http('GET', '/livez')).status).toBe(200);
  expect((await it.http('GET', '/readyz')).status).toBe(503);
  expect((await it.http('GET', '/startupz')).status).toBe(503);
  const configured = await it.http('POST', '/configure', it.config(it.spec()));
  expect(configured.json()).toMatchObject({ status: 'running' });
  expect((await it.http('GET', '/startupz')).status).toBe(200);
  const figures = (await it.http('GET', '/metrics.json')).json<Record<string, number>>();
  expect(figures['wait_for_spec_ms']).toBeGreaterThan(0);
  program.kill('SIGINT');
  expect(await program.exited()).toBe(0);
});

test('a compute that started empty takes a second spec, too', async () => {
  const program = it.start({ spec: null });
  await it.until('empty');
  for (const suspend_timeout_seconds of [1, 2, 3]) {
    const answer = await it.http('POST', '/configure', it.config(it.spec({ suspend_timeout_seconds })));
    expect(answer.json()).toMatchObject({ status: 'running' });
  }
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('terminate ends an empty compute', async () => {
  const program = it.start({ spec: null });
  await it.until('empty');
  expect(await it.http('POST', '/terminate')).toMatchObject({ status: 200, body: '{"lsn":null}' });
  expect((await it.http('POST', '/terminate')).status).toBe(201);
  expect(await program.exited()).toBe(0);
});

test('a running compute takes another spec while Postgres serves', async () => {
  it.start();
  await it.until('running');
  const before = await query('select pg_postmaster_start_time() at');
  const spec = it.spec();
  (spec['cluster'] as { settings: object[] }).settings.push({
    name: 'work_mem',
    value: '7MB',
    vartype: 'string',
  });
  (spec['cluster'] as { roles: object[] }).roles = [app];
  expect((await it.http('POST', '/configure', it.config(spec))).json()).toMatchObject({ status: 'running' });
  const setting = async () => (await query('show work_mem'))[0]?.['work_mem'] === '7MB' || undefined;
  await eventually('the new setting', setting);
  expect(await query("select count(*)::int n from pg_roles where rolname = 'app'")).toEqual([{ n: 1 }]);
  expect(await query('select pg_postmaster_start_time() at')).toEqual(before);
});

test('a spec for another timeline, and one that is broken, are refused and change nothing', async () => {
  it.start();
  await it.until('running');
  const other = it.config(it.spec({ timeline_id: 'f7ff2504a4cdc90a60f985c58c2001c4' }));
  expect((await it.http('POST', '/configure', other)).status).toBe(400);
  const broken = await it.http('POST', '/configure', it.config({ ...it.spec(), mode: 'primary' }));
  expect(broken.status).toBe(422);
  expect(broken.body).toContain('spec.mode');
  expect((await it.http('GET', '/status')).json()).toMatchObject({ status: 'running' });
});

test('when Postgres is killed, compute_ctl exits with an error and leaves no process behind', async () => {
  const program = it.start();
  await it.until('running');
  process.kill(postmasterPid(), 'SIGKILL');
  expect(await program.exited()).toBe(1);
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('a Postgres left over from a killed compute_ctl is stopped before its directory is touched', async () => {
  const first = it.start();
  await it.until('running');
  const left = postmasterPid();
  // Everything of compute_ctl is killed, as when memory runs out.
  for (const pid of watchersOf(it.pgdata)) process.kill(pid, 'SIGKILL');
  first.kill('SIGKILL');
  await first.exited();
  expect(processesIn(it.pgdata)).toContain(left);
  it.start();
  await it.until('running');
  expect(processesIn(it.pgdata)).not.toContain(left);
});

test('a second compute_ctl on the same directory is turned away and names the first', async () => {
  const first = it.start();
  await it.until('running');
  const second = it.start({ httpPort: 0 });
  expect(await second.exited()).toBe(1);
  expect(second.stderr()).toContain(String(first.pid));
  expect((await it.http('GET', '/status')).json()).toMatchObject({ status: 'running' });
});

test('a second signal stops Postgres at once, though a session holds up the fast stop', async () => {
  const program = it.start();
  await it.until('running');
  // A stopped postmaster does not answer to anything but force.
  process.kill(postmasterPid(), 'SIGSTOP');
  program.kill('SIGTERM');
  await eventually('the stop', () => (program.stderr().includes('stopping Postgres') ? true : undefined));
  program.kill('SIGTERM');
  await program.exited(15_000);
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('a port that is taken ends the process with a clear error', async () => {
  const taken = createServer().listen(it.httpPort, '::');
  const program = it.start();
  expect(await program.exited()).toBe(1);
  expect(program.stderr()).toContain(String(it.httpPort));
  taken.close();
});

test('a spec on the command line can not be replaced', async () => {
  const program = it.run(['-s', JSON.stringify(it.spec())]);
  await eventually('readiness', async () => (await it.http('GET', '/readyz')).status === 200 || undefined);
  expect(program.stderr()).not.toContain('encrypted_password');
  // Without keys nobody may ask; what counts is that nobody gets in.
  expect((await it.http('POST', '/configure', it.config(it.spec()))).status).toBe(401);
});

test('usage errors exit 2, and check names every problem of a config and touches nothing', async () => {
  expect(await it.run(['--no-such-flag']).exited()).toBe(2);
  const file = join(it.home, 'broken.json');
  const broken = { ...it.spec({ mode: 'primary' }), cluster: { roles: [{ name: 5 }], databases: [] } };
  writeFileSync(file, JSON.stringify(it.config(broken)));
  const check = startProgram('compute_ctl', ['check', '-c', file]);
  expect(await check.exited()).toBe(1);
  expect(check.stderr()).toContain('spec.cluster.roles[0].name');
  expect(check.stderr()).toContain('spec.mode');
  expect(existsSync(it.pgdata)).toBe(false);
});

test("check takes the compute's own command line, and its exit code tells valid, warnings and invalid apart", async () => {
  const file = join(it.home, 'checked.json');
  const connstr = `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`;
  const pgbin = join(defaultPostgres().bindir, 'postgres');
  const check = async (spec: object) => {
    writeFileSync(file, JSON.stringify(it.config(spec)));
    const args = ['check', '-c', file, '-i', 'compute-1', '-C', connstr, '-D', it.pgdata, '-b', pgbin];
    const program = startProgram('compute_ctl', args);
    return { code: await program.exited(), output: program.output() };
  };
  expect(await check(it.spec())).toMatchObject({ code: 0 });
  expect(await check(it.spec({ new_thing: 1 }))).toMatchObject({ code: 3 });
  const spec = it.spec();
  const { settings } = spec['cluster'] as { settings: object[] };
  settings.push({ name: 'shared_bufers', value: '1MB', vartype: 'string' });
  const { code, output } = await check(spec);
  expect([code, output]).toEqual([1, expect.stringContaining('(shared_bufers): unrecognized')]);
  expect(existsSync(it.pgdata)).toBe(false);
});

test('plan prints what a running Postgres lacks, without passwords, writes nothing, and says by its exit code when there is nothing to do', async () => {
  it.start();
  await it.until('running');
  const connstr = `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`;
  const file = join(it.home, 'wanted.json');
  const plan = async (cluster: object) => {
    const spec = it.spec();
    Object.assign(spec['cluster'] as object, cluster);
    writeFileSync(file, JSON.stringify(it.config(spec)));
    const program = startProgram('compute_ctl', ['plan', '-c', file, '-C', connstr, '-i', 'compute-1']);
    return { code: await program.exited(), text: program.stdout(), output: program.output() };
  };
  const lacking = await plan({ roles: [app] });
  expect([lacking.code, lacking.output]).toEqual([3, expect.stringContaining('"app"')]);
  expect(lacking.text).not.toContain(app.encrypted_password);
  expect(await query("select 1 from pg_roles where rolname = 'app'")).toEqual([]);
  expect(await plan({})).toMatchObject({ code: 0 });
});
