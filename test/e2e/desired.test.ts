import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PgTarget } from '../../src/pg/target.ts';
import { type LocalRig, localRig, queryLocal, targetOf } from '../support/local.ts';
import type { Program } from '../support/program.ts';

// One compute, from its first compute.json to the last: the tests build on each other.

let rig: LocalRig;
let program: Program;
let app: PgTarget;
const file = (): string => join(rig.dir, 'compute.json');
beforeAll(() => {
  rig = localRig();
});
afterAll(() => rig.clean());

interface Outcome {
  readonly kind: string;
  readonly name: string;
  readonly result: string;
  readonly reason: string | null;
}

interface Answer {
  readonly code: number | NodeJS.Signals;
  readonly body: {
    readonly running?: boolean;
    readonly accepted?: boolean;
    readonly changes?: readonly { kind: string; name: string }[];
    readonly outcomes?: readonly Outcome[];
    readonly left?: readonly { kind: string; name: string; database?: string }[];
    readonly dropped?: readonly { name: string }[];
    readonly error?: { readonly code: string; readonly problems?: readonly { path: string; line: number }[] };
  };
}

async function json(...args: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await rig.command(...args, '--json');
  if (stdout === '') throw new Error(stderr);
  return { code, body: JSON.parse(stdout) as Answer['body'] };
}

async function as(role: string): Promise<PgTarget> {
  const { stdout } = await rig.command('url', '--role', role);
  return targetOf(stdout);
}

const stopped = async (): Promise<void> => {
  program.kill('SIGTERM');
  await program.exited();
};

const first = `{
  // Kept by every change.
  "$schema": "./compute.schema.json",
  "roles": [{ "name": "web", "connection_limit": 7 }],
  "databases": [{ "name": "shop", "owner": "web" }],
  "extensions": [
    "earthdistance", // needs cube, which comes after it
    { "name": "cube" },
    { "name": "pg_stat_statements", "databases": ["app"] },
  ],
  "settings": { "work_mem": "64MB", "max_connections": 50 },
}
`;

test('a compute.json is written before the first start, checked with its PostgreSQL, and accepted for it', async () => {
  const made = await rig.command('init');
  expect([made.code, made.stdout]).toEqual([0, `${file()}\n`]);
  expect(readFileSync(join(rig.dir, 'compute.schema.json'), 'utf8')).toContain('"connection_limit"');
  expect((await json('plan')).code).toBe(0);
  writeFileSync(file(), first.replace('64MB', '64XB').replace('max_connections', 'max_conections'));
  const refused = await json('apply');
  expect(refused.code).toBe(1);
  expect(refused.body.error?.code).toBe('spec_invalid');
  expect(refused.body.error?.problems?.map(({ path, line }) => [path, line]).toSorted()).toEqual([
    ['settings.max_conections', 11],
    ['settings.work_mem', 11],
  ]);
  const bad = '"databases": [{ "name": "bad", "locale": "nowhere" }, ';
  writeFileSync(
    file(),
    first.replace('"cube"', '"cube", "databases": ["app"]').replace('"databases": [', bad),
  );
  expect(await json('apply')).toMatchObject({ code: 0, body: { running: false, accepted: true } });
  expect(statSync(join(rig.dir, 'desired.json')).mode & 0o777).toBe(0o600);
  writeFileSync(file(), first);
});

test('the first start brings what was accepted, and says which extension and which database it could not create', async () => {
  const up = await rig.upAndReady();
  program = up.program;
  app = up.to;
  // The last one in the file is not the one that was accepted.
  expect(program.stdout()).toContain('"event":"not-applied"');
  const failed = program
    .stdout()
    .split('\n')
    .filter((line) => line.includes('extension-failed'));
  expect(failed).toHaveLength(1);
  expect(failed[0]).toContain('add \\"cube\\" to the extensions of compute.json');
  const database = program
    .stdout()
    .split('\n')
    .find((line) => line.includes('"event":"database-failed"'));
  expect(database).toContain('invalid locale name');
  const web = await as('web');
  expect([web.user, web.database]).toEqual(['web', 'shop']);
  const [row] = await queryLocal(
    web,
    `select current_setting('work_mem') as mem, current_setting('max_connections') as most,
       (select rolconnlimit from pg_roles where rolname = 'web') as own,
       (select string_agg(extname, ',') from pg_extension where extname <> 'plpgsql') as extensions`,
  );
  expect(row).toEqual({ mem: '64MB', most: '50', own: 7, extensions: null });
  const [used] = await queryLocal(app, `select count(*)::int as n from pg_stat_statements where false`);
  expect(used).toEqual({ n: 0 });
});

test('a change by SQL and one in the file are planned, applied, and then nothing is left to do', async () => {
  await rig.command('psql', '--admin', '-c', 'alter role web connection limit 3');
  const planned = await json('plan');
  expect(planned.code).toBe(3);
  expect(planned.body.changes?.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'role web',
    'extension earthdistance',
    'extension cube',
  ]);
  const done = await json('apply');
  expect(done.code).toBe(0);
  expect(done.body.outcomes?.map(({ result }) => result)).toEqual(['applied', 'applied', 'applied']);
  expect(await json('plan')).toMatchObject({ code: 0, body: { running: true, changes: [] } });
  await queryLocal(await as('web'), `select earth_distance(ll_to_earth(1, 1), ll_to_earth(2, 2))`);
});

test('a setting that ALTER SYSTEM has changed is planned, and apply says what is in the way', async () => {
  const admin = (sql: string): Promise<unknown> => rig.ok('psql', '--admin', '-c', sql);
  await admin(`alter system set work_mem = '1MB'`);
  await admin('select pg_reload_conf()');
  expect(await json('plan')).toMatchObject({ code: 3, body: { changes: [{ name: 'work_mem' }] } });
  const { code, body } = await json('apply');
  expect([code, body.outcomes?.map(({ result }) => result)]).toEqual([1, ['failed']]);
  expect(body.outcomes?.[0]?.reason).toContain('ALTER SYSTEM has set it to "1MB"');
  await admin('alter system reset work_mem');
  await admin('select pg_reload_conf()');
  // As it is for others, and not for the session that looks.
  await rig.ok('config', 'settings.statement_timeout', '1min');
  expect(await json('plan')).toMatchObject({ body: { changes: [{ name: 'statement_timeout', from: '0' }] } });
  await rig.ok('config', 'settings.statement_timeout', '--unset');
  expect(await json('plan')).toMatchObject({ code: 0, body: { changes: [] } });
});

test('what the compute refuses is told for each object, and everything stays in force', async () => {
  await rig.command('config', 'databases[1]', '{ "name": "bad", "locale": "nowhere" }');
  await rig.command('config', 'settings.work_mem', '128MB');
  const { code, body } = await json('apply');
  expect([code, body.accepted]).toEqual([1, false]);
  const bad = body.outcomes?.find(({ kind }) => kind === 'database');
  expect(bad?.result).toBe('failed');
  expect(bad?.reason).toContain('nowhere');
  expect(await queryLocal(await as('web'), 'show work_mem')).toEqual([{ work_mem: '64MB' }]);
  await rig.command('config', 'databases[1]', '--unset');
  await rig.command('config', 'settings.work_mem', '64XB');
  const refused = await rig.command('apply');
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain('at settings.work_mem, line ');
  expect(refused.stdout).toContain('invalid value for parameter "work_mem"');
  expect(await queryLocal(await as('web'), 'show work_mem')).toEqual([{ work_mem: '64MB' }]);
});

test('config reads and changes one value, keeps the comments, and refuses what is not valid', async () => {
  expect((await rig.command('config', 'settings.work_mem', '32MB')).code).toBe(0);
  expect((await rig.command('config', 'settings.work_mem')).stdout).toBe('32MB\n');
  expect(await json('config', 'settings.fsync', 'off')).toMatchObject({
    code: 1,
    body: { error: { code: 'spec_invalid' } },
  });
  expect(readFileSync(file(), 'utf8')).toContain('// Kept by every change.');
  expect((await json('config', 'settings.no', '--unset')).body.error?.code).toBe('not_found');
});

test('a setting that needs a restart waits for one, and apply --restart restarts', async () => {
  await rig.command('config', 'settings.max_connections', '40');
  const waits = await json('apply');
  expect(waits.code).toBe(0);
  expect(waits.body.outcomes?.map(({ name, result }) => `${name} ${result}`)).toEqual([
    'work_mem applied',
    'max_connections waits',
  ]);
  expect((await json('plan')).code).toBe(3);
  const done = await json('apply', '--restart');
  expect(done.body.outcomes?.map(({ name, result }) => `${name} ${result}`)).toEqual([
    'max_connections applied',
  ]);
  expect(await queryLocal(await as('web'), 'show max_connections')).toEqual([{ max_connections: '40' }]);
});

test('the superuser is reached through the socket of the directory, and neither over TCP nor by a role from inside the server', async () => {
  const own = await rig.command(
    'psql',
    '--admin',
    '-Atc',
    'select current_user, usesuper from pg_user where usename = current_user',
  );
  expect(own.stdout).toBe('cloud_admin|t\n');
  expect(statSync(join(rig.dir, 'run')).mode & 0o777).toBe(0o700);
  await expect(queryLocal({ ...app, user: 'cloud_admin' }, 'select 1')).rejects.toThrow();
  await rig.command('psql', '--admin', '-c', 'create extension dblink');
  const web = { ...(await as('web')), database: 'app' };
  for (const password of ['', 'password=x']) {
    const through = `host=${rig.dir}/run port=${app.port} user=cloud_admin dbname=postgres ${password}`;
    await expect(
      queryLocal(web, `select * from dblink('${through}', 'select 1') as t(n int)`),
    ).rejects.toThrow(/^password .*required/);
  }
  const role = await rig.command('psql', '--role', 'web', '-Atc', 'select current_user, current_database()');
  expect(role.stdout).toBe('web|shop\n');
});

test('what is no longer named stays until it is dropped on request, and all else is there after a restart', async () => {
  writeFileSync(file(), '{ "roles": [{ "name": "new" }], "settings": { "work_mem": "16MB" } }');
  const kept = await json('apply');
  const extensions = ['earthdistance', 'cube', 'pg_stat_statements'];
  expect(kept.body.left?.map(({ name }) => name)).toEqual(['shop', 'web', ...extensions]);
  await queryLocal({ ...(await as('web')), database: 'shop' }, 'create table t ()');
  const asked = await json('apply', '--prune');
  expect([asked.code, asked.body.error?.code]).toEqual([2, 'usage']);
  const last = readFileSync(file(), 'utf8');
  writeFileSync(file(), '{ "roles": [{ "name": "new" }], "databases": [{ "name": "bad", "locale": "no" }] }');
  const refused = await json('apply', '--prune', '--yes');
  expect([refused.code, refused.body.accepted, refused.body.dropped]).toEqual([1, false, []]);
  // With what it holds: it was not created again.
  await queryLocal({ ...(await as('web')), database: 'shop' }, 'table t');
  writeFileSync(file(), last);
  const pruned = await json('apply', '--prune', '--yes');
  expect(pruned.body.dropped?.map(({ name }) => name)).toEqual(['shop', 'web']);
  expect((await json('apply')).body.left).toEqual(
    extensions.map((name) => ({ kind: 'extension', name, database: 'app' })),
  );
  await stopped();
  const up = await rig.upAndReady();
  program = up.program;
  const rows = await queryLocal(
    await as('new'),
    `select current_setting('work_mem') as mem, current_setting('max_connections') as most,
       (select string_agg(datname, ',' order by datname) from pg_database where not datistemplate) as databases,
       (select count(*)::int from pg_roles where rolname = 'web') as web`,
  );
  expect(rows).toEqual([{ mem: '16MB', most: '100', databases: 'app,postgres', web: 0 }]);
});

test('a role gets a new password: its URL has it, the former one is refused, also after a restart, and neither is in a log', async () => {
  const former = await as('new');
  const { code, stdout } = await rig.command('password', 'new');
  expect([code, stdout]).toEqual([0, (await rig.command('url', '--role', 'new')).stdout]);
  const fresh = targetOf(stdout);
  expect(fresh.password?.reveal()).not.toBe(former.password?.reveal());
  expect(await queryLocal(fresh, 'select 1 as one')).toEqual([{ one: 1 }]);
  await expect(queryLocal(former, 'select 1')).rejects.toMatchObject({ cause: { code: '28P01' } });
  expect(await json('plan')).toMatchObject({ code: 0, body: { changes: [] } });
  const formerApp = await as('app');
  const freshApp = targetOf(await rig.ok('password', 'app'));
  expect(freshApp).toEqual(await as('app'));
  expect(await queryLocal(freshApp, 'select 1 as one')).toEqual([{ one: 1 }]);
  await expect(queryLocal(formerApp, 'select 1')).rejects.toMatchObject({ cause: { code: '28P01' } });
  await stopped();
  expect((await json('password', 'new')).code).toBe(0);
  const last = await as('new');
  program = (await rig.upAndReady()).program;
  expect(await queryLocal(last, 'select 1 as one')).toEqual([{ one: 1 }]);
  await expect(queryLocal(fresh, 'select 1')).rejects.toMatchObject({ cause: { code: '28P01' } });
  expect(await queryLocal(freshApp, 'select 1 as one')).toEqual([{ one: 1 }]);
  const logs = readdirSync(join(rig.dir, 'log')).map((name) =>
    readFileSync(join(rig.dir, 'log', name), 'utf8'),
  );
  for (const { password } of [former, fresh, last, formerApp, freshApp])
    expect(logs.join('').includes(password?.reveal() ?? '')).toBe(false);
  expect((await json('password', 'nwe')).body.error?.code).toBe('not_found');
});

test('an extension that is no longer named is told with the way to drop it, until it is dropped', async () => {
  writeFileSync(
    file(),
    '{ "roles": [{ "name": "new" }], "databases": [{ "name": "it\'s", "owner": "new" }], "extensions": ["hstore"] }',
  );
  expect((await json('apply')).code).toBe(0);
  writeFileSync(
    file(),
    '{ "roles": [{ "name": "new" }], "databases": [{ "name": "it\'s", "owner": "new" }] }',
  );
  expect(await json('plan')).toMatchObject({
    code: 0,
    body: {
      changes: [],
      left: expect.arrayContaining([
        { kind: 'extension', name: 'hstore', database: 'app' },
        { kind: 'extension', name: 'hstore', database: "it's" },
      ]) as unknown,
    },
  });
  const applied = await rig.command('apply', '--prune');
  expect([applied.code, applied.stdout]).toEqual([
    0,
    expect.stringContaining('extension "hstore" in database "app": no longer'),
  ]);
  const words = /-c '(.*)' -c '(.*)'$/m;
  const calls = applied.stdout.split('\n').filter((line) => words.test(line) && line.includes('hstore'));
  expect(calls).toHaveLength(2);
  for (const call of calls) {
    const [, connect = '', drop = ''] = words.exec(call) ?? [];
    const statements = [connect, drop].map((text) => text.replaceAll(String.raw`'\''`, "'"));
    const done = await rig.command('psql', '--admin', ...statements.flatMap((text) => ['-c', text]));
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('DROP EXTENSION') });
  }
  expect((await json('plan')).body.left?.filter(({ name }) => name === 'hstore')).toEqual([]);
});

test('url, token and logs are objects for programs', async () => {
  const { body } = await json('url', '--role', 'new');
  expect(body).toEqual({ url: (await rig.command('url', '--role', 'new')).stdout.trim() });
  expect((await json('token')).body).toEqual({ token: expect.stringMatching(/^ey.+\..+\..+$/) });
  const { stdout } = await rig.command('logs', '-n', '3', '--json');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual(Array.from({ length: 3 }, () => ({ line: expect.any(String) as string })));
});

/** Each would do something, if it was read as more than a name or a value. */
const hostile = [
  `we"b'; drop database app; --`,
  '$(touch /tmp/hostile)',
  "\\'; select 1",
  '__proto__',
  'constructor',
  'Cloud_Admin',
  'cloud_admin\u200b',
  'ａpp',
  '%s %I {}',
  'ö'.repeat(31),
];

test('hostile names and values in compute.json are names and values, and nothing else', async () => {
  const value = `it's "a" \\ value' # $(touch /tmp/hostile) include '/etc/passwd'`;
  const roles = hostile.map((name) => ({ name }));
  const databases = hostile.map((name) => ({ name, owner: name }));
  const settings = { 'my.text': value, work_mem: '16MB' };
  writeFileSync(file(), JSON.stringify({ roles, databases, extensions: ['cube'], settings }));
  expect((await json('apply')).code).toBe(0);
  expect(await json('plan')).toMatchObject({ code: 0, body: { changes: [] } });
  for (const name of hostile) {
    const { stdout } = await rig.command('url', '--role', name);
    const to = targetOf(stdout);
    expect(
      await queryLocal(
        to,
        `select current_user::text as role, current_database()::text as database, current_setting('my.text') as text`,
      ),
    ).toEqual([{ role: name, database: name, text: value }]);
  }
  expect(existsSync('/tmp/hostile')).toBe(false);
});

test.each([
  ['a role with a NUL', { roles: [{ name: 'a\0b' }] }, 'roles[0].name'],
  ['a role with a long name', { roles: [{ name: 'ö'.repeat(32) }] }, 'roles[0].name'],
  ['a database with no name', { databases: [{ name: '' }] }, 'databases[0].name'],
  ['the superuser', { roles: [{ name: 'cloud_admin' }] }, 'roles[0].name'],
  ['a line break in a value', { settings: { 'my.text': "a'\nfsync = off" } }, 'settings["my.text"]'],
  [
    'a line break in a name',
    { settings: { 'work_mem\nfsync': 'off' } },
    String.raw`settings["work_mem\nfsync"]`,
  ],
  ['an include', { settings: { include: '/etc/passwd' } }, 'settings.include'],
  ['a setting that is a member of every object', { settings: { constructor: '1' } }, 'settings.constructor'],
  ['a setting in the place of a prototype', '{ "settings": { "__proto__": "1" } }', 'settings.__proto__'],
  ['a prototype with roles', '{ "__proto__": { "roles": [{ "name": "proto" }] } }', '__proto__'],
  [
    'a time that is more',
    { roles: [{ name: 'a', valid_until: "infinity'; drop role app; --" }] },
    'roles[0].valid_until',
  ],
  ['an extension from elsewhere', { extensions: ['../../../tmp/x'] }, 'extensions[0]'],
])('%s is refused at its place in compute.json', async (_what, given, path) => {
  writeFileSync(file(), typeof given === 'string' ? given : JSON.stringify(given));
  const { code, body } = await json('apply');
  expect([code, body.error?.code, body.error?.problems?.map((one) => one.path)]).toEqual([
    1,
    'spec_invalid',
    [path],
  ]);
});

test('an encoding, a locale and a template are values, too', async () => {
  const text = `C' template app; drop database app; --`;
  for (const key of ['encoding', 'locale', 'template']) {
    writeFileSync(file(), JSON.stringify({ databases: [{ name: 'odd', [key]: text }] }));
    const { code, body } = await json('apply');
    expect([key, code, body.outcomes?.find(({ kind }) => kind === 'database')?.result]).toEqual([
      key,
      1,
      'failed',
    ]);
  }
  const rows = await queryLocal(
    await as(hostile[0] ?? ''),
    `select count(*)::int as n from pg_database where datname in ('app', 'odd')`,
  );
  expect(rows).toEqual([{ n: 1 }]);
});

test('reset removes what was accepted, and leaves the compute.json to its user', async () => {
  await stopped();
  const { code, stdout } = await rig.command('reset', '--yes');
  expect([code, stdout]).toEqual([
    0,
    `Deleted all data in ${rig.dir}. Kept what compute-local did not create: compute.json.\n`,
  ]);
});
