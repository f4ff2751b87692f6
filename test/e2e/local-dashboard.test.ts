import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Messages, Model, Outcome } from '../../src/local/dashboard/model.ts';
import { type OpenDashboard, ask, openDashboard } from '../support/dashboard.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import type { Program } from '../support/program.ts';

let it: LocalRig;
let up: Program;
let link: string;
let open: OpenDashboard;
/** Everything that was answered. */
let told = '';

const linkOf = (program: Program): string => {
  const line = program
    .stdout()
    .split('\n')
    .find((one) => one.includes('"event":"ready"'));
  return (JSON.parse(line ?? '{}') as { dashboard: string }).dashboard;
};

beforeAll(async () => {
  it = localRig();
  ({ program: up } = await it.upAndReady());
  link = linkOf(up);
});
afterAll(async () => {
  await it.command('stop');
  await it.clean();
}, 120_000);

const messages = <N extends keyof Messages>(text: string, name: N): Messages[N][] =>
  [...text.matchAll(new RegExp(`^event: ${name}\ndata: (.*)$`, 'gm'))].map(
    ([, data = '']) => JSON.parse(data) as Messages[N],
  );

test('the link that `up` prints opens the page once; the command prints another one', async () => {
  open = await openDashboard(link);
  const page = await ask(open.page, { headers: { cookie: open.cookie } });
  expect(page.status).toBe(200);
  expect(page.body).toMatch(/^<!doctype html>/);
  expect(Buffer.byteLength(page.body)).toBeLessThan(150_000);
  expect(page.body).not.toMatch(/\b(?:src|href)="?(?!data:|#)[a-z/]/);
  expect(page.headers).toMatchObject({
    'content-security-policy': expect.stringMatching(/^default-src 'none'; script-src 'sha256-/) as string,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  expect((await ask(link)).status).toBe(401);
  expect((await ask(open.page)).status).toBe(401);
  const { code, stdout } = await it.command('dashboard');
  expect(code).toBe(0);
  const other = await openDashboard(stdout.trim());
  expect((await ask(other.page, { headers: { cookie: open.cookie } })).status).toBe(401);
  told += page.body;
});

test('what it shows is what status says, with the figures, the last start and the log', async () => {
  // Some checks say for a moment that something is still to come.
  const settled = (text: string) =>
    messages(text, 'model').findLast(
      ({ history, checks }) =>
        (history['main']?.starts.length ?? 0) > 0 && checks.every(({ state }) => state === 'ok'),
    );
  const { body } = await ask(`${open.page}events`, {
    headers: { cookie: open.cookie },
    until: (text) => settled(text) !== undefined,
  });
  const model = settled(body);
  expect(model?.report).toMatchObject({ state: 'running', dir: it.dir, problems: [] });
  expect(model?.checks.length).toBeGreaterThan(1);
  expect(model?.details['main']).toMatchObject({ status: 'running', downtime: { incidents: [] } });
  expect(model?.details['main']?.objects.filter(({ state }) => state === 'applied')).toHaveLength(2);
  expect(model?.history['main']?.starts[0]?.steps.map(({ name }) => name)).toContain('fetch-base-backup');
  expect(model?.offers.map(({ action, target }) => [action, target])).toEqual([
    ['stop', ''],
    ['sleep', 'main'],
    ['branch', ''],
  ]);
  expect(model?.tree).toMatchObject({
    error: null,
    computes: [{ name: 'main', depth: 0, state: 'running' }],
  });
  expect(model?.plan).toMatchObject({ state: 'absent', file: join(it.dir, 'compute.json') });
  expect(model?.sleeps).toEqual([]);
  expect(messages(body, 'sample')[0]?.computes['main']?.limit).toBeGreaterThan(0);
  expect(messages(body, 'log').flatMap(({ lines }) => lines)).not.toEqual([]);
  told += body;

  // A browser that comes back says what it has seen last.
  const [, seen = ''] = [...body.matchAll(/^id: (.*)$/gm)].at(0) ?? [];
  const { body: next } = await ask(`${open.page}events`, {
    headers: { cookie: open.cookie, 'last-event-id': seen },
    until: (text) => messages(text, 'model').length > 0,
  });
  expect(next).not.toContain('event: full');
  expect(messages(next, 'sample')[0]).toEqual(messages(body, 'sample')[0]);
  told += next;
});

test('a page of another server, and a name that was resolved to the loopback, are refused', async () => {
  const { cookie } = open;
  const post = {
    method: 'POST',
    body: '{"action":"stop","target":""}',
    headers: { cookie, 'content-type': 'application/json' },
  };
  const { origin } = new URL(open.page);
  for (const headers of [
    { origin: 'http://127.0.0.1:9' },
    { origin: 'http://evil.example' },
    { host: 'evil.example', origin: 'http://evil.example' },
    { origin, 'sec-fetch-site': 'same-site' },
    {},
  ])
    expect(
      (await ask(`${open.page}actions`, { ...post, headers: { ...post.headers, ...headers } })).status,
    ).toBe(403);
  expect((await ask(open.page, { headers: { cookie, host: 'evil.example' } })).status).toBe(403);
  expect((await ask(`${open.page}actions`, { headers: { cookie } })).status).toBe(404);
  expect(up.child.exitCode).toBeNull();
});

const slowly = { timeout: 30_000, interval: 100 };

/** Does something, as the page does. */
async function act(action: string, target: string, fields: Record<string, string> = {}): Promise<Outcome> {
  const { status, body } = await ask(`${open.page}actions`, {
    method: 'POST',
    body: JSON.stringify({ action, target, fields }),
    headers: {
      ...{ cookie: open.cookie, origin: new URL(open.page).origin },
      'content-type': 'application/json',
    },
  });
  expect(status).toBe(200);
  told += body;
  return JSON.parse(body) as Outcome;
}

/** The first model that is so. */
async function modelWhen(is: (model: Model) => boolean): Promise<Model> {
  const found = (text: string): Model | undefined =>
    [...messages(text, 'full').flatMap(({ model }) => model ?? []), ...messages(text, 'model')].findLast(is);
  const { body } = await ask(`${open.page}events`, {
    headers: { cookie: open.cookie },
    until: (text) => found(text) !== undefined,
  });
  told += body;
  return found(body) as Model;
}

test('main sleeps and wakes, and what it would lose keeps it awake', async () => {
  const { password, ports } = it.state();
  const client = new pg.Client({
    ...{
      host: '127.0.0.1',
      port: ports['postgres'],
      user: 'app',
      database: 'app',
      password: String(password),
    },
  });
  client.on('error', () => {});
  await client.connect();
  await client.query('begin');
  expect(await act('sleep', 'main')).toMatchObject({
    ok: false,
    message: expect.stringMatching(/kept awake by transaction: role "app"/) as string,
    hint: expect.stringContaining('end that') as string,
  });
  await client.query('rollback');
  // On a busy machine the storage may need longer for the last WAL.
  await expect
    .poll(() => act('sleep', 'main'), slowly)
    .toMatchObject({ ok: true, message: 'main sleeps.', problems: [] });
  expect(it.pidOf('postgres')).toBeUndefined();
  const asleep = await modelWhen(({ report }) => report.state === 'asleep');
  expect(asleep.sleeps).toMatchObject([{ to: null }]);
  expect(asleep.details['main']?.objects.map(({ name }) => name)).toContain('app');

  // A plan does not wake it, and apply does.
  writeFileSync(join(it.dir, 'compute.json'), '{ "roles": [{ "name": "<img>" }] }');
  const { plan } = await modelWhen((model) => model.plan?.state === 'known');
  expect(plan).toMatchObject({ against: 'last apply', changes: ['+ role "<img>"'] });
  expect(it.pidOf('postgres')).toBeUndefined();
  expect(await act('apply', 'main', { digest: 'another', restart: '' })).toMatchObject({
    ok: false,
    message: 'compute.json was changed since its plan was shown',
  });
  expect(await act('apply', 'main', { digest: plan?.digest ?? '', restart: '' })).toMatchObject({
    ok: true,
    message: '  + role "<img>": applied',
  });
  const awake = await modelWhen(
    ({ plan: now, sleeps }) =>
      now?.against === 'Postgres' && now.changes.length === 0 && sleeps[0]?.wakeMs !== null,
  );
  expect(awake.sleeps).toMatchObject([
    { to: expect.any(String) as string, wakeMs: expect.any(Number) as number },
  ]);
  // What the file no longer names is dropped when that is asked for, and only what was shown.
  writeFileSync(join(it.dir, 'compute.json'), '{}');
  const left = await modelWhen((model) => model.plan?.drops.length === 1);
  expect(left.plan).toMatchObject({ changes: [], drops: ['role "<img>"'] });
  const offer = left.offers.find((one) => one.action === 'prune');
  expect(offer?.lines).toEqual(['- role "<img>"']);
  const shown = Object.fromEntries((offer?.fields ?? []).map(({ name, value }) => [name, value]));
  expect(await act('prune', '', { ...shown, confirm: 'yes' })).toMatchObject({
    ok: false,
    problems: [{ path: 'fields.confirm' }],
  });
  expect(await act('prune', '', { ...shown, drops: 'another', confirm: 'drop' })).toMatchObject({
    ok: false,
    message: 'what would be dropped is not what was shown',
  });
  expect(await act('prune', '', { ...shown, confirm: 'drop' })).toMatchObject({
    ok: true,
    message: '  - role "<img>": dropped',
  });
  // A Postgres that hangs kept back for ten seconds that it does: until the connection for the plan had failed.
  const postmaster = it.pidOf('postgres') as number;
  process.kill(postmaster, 'SIGSTOP');
  try {
    const hung = await modelWhen(({ report }) => report.computes[0]?.state === 'no_answer');
    expect(hung.plan).toMatchObject({ state: 'known' });
    expect(await act('sleep', 'main')).toMatchObject({
      message: 'this cannot be done now: main is in the state "no answer"',
    });
  } finally {
    process.kill(postmaster, 'SIGCONT');
  }
  // Its client has kept its connection.
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
}, 120_000);

test('a branch is refused at its fields, created, put to sleep, woken, stopped and started', async () => {
  expect(await act('branch', '', { name: '../x', from: 'nobody', at: 'soon', ttl: '' })).toMatchObject({
    ok: false,
    problems: [{ path: 'fields.from' }],
  });
  expect(await act('branch', '', { name: '../x', from: 'main', at: 'soon', ttl: '' })).toMatchObject({
    problems: [{ path: 'fields.name' }, { path: 'fields.at' }],
  });
  const early = { name: 'dev', from: 'main', at: '2001-01-01', ttl: '' };
  expect(await act('branch', '', early)).toMatchObject({ problems: [{ path: 'fields.at' }] });
  const progress = ask(`${open.page}events`, {
    headers: { cookie: open.cookie },
    until: (text) => messages(text, 'progress').some(({ what }) => what.includes('Starting it')),
  });
  expect(await act('branch', '', { name: 'dev', from: 'main', at: '', ttl: '1h' })).toMatchObject({
    ok: true,
    message: expect.stringMatching(/^Branched dev from main at /) as string,
  });
  expect(await act('branch', '', { name: 'dev', from: 'main', at: '', ttl: '' })).toMatchObject({
    problems: [{ path: 'fields.name' }],
  });
  expect(messages((await progress).body, 'progress')[0]).toMatchObject({ action: 'branch', target: '' });
  expect(await act('wake', 'dev')).toMatchObject({
    ok: false,
    message: 'this cannot be done now: dev is in the state "running"',
  });
  for (const [action, message] of [
    ['sleep', 'dev sleeps.'],
    ['wake', 'dev is awake'],
    ['stop-branch', 'dev has stopped.'],
    ['start', 'dev runs on port'],
    ['stop-branch', 'dev has stopped.'],
  ] as const)
    await expect
      .poll(() => act(action, 'dev'), slowly)
      .toMatchObject({ ok: true, message: expect.stringContaining(message) as string });
  const { tree } = await modelWhen((model) => model.tree?.computes[1]?.state === 'stopped');
  expect(tree?.computes).toMatchObject([
    { name: 'main', depth: 0 },
    { name: 'dev', depth: 1, parent: 'main', expiresAt: expect.any(String) as string },
  ]);
}, 60_000);

test('no secret is in anything that was answered', () => {
  const { password, passwordVerifier, storageToken, controlPlaneToken, signingKey } =
    it.state() as unknown as Record<string, string>;
  const key = signingKey as unknown as { d: string };
  for (const secret of [password, passwordVerifier, storageToken, controlPlaneToken, key.d]) {
    expect(secret).toMatch(/.{20}/);
    expect(told).not.toContain(secret);
  }
  expect(told).not.toContain(new URL(link).searchParams.get('token'));
});

test('a POST stops everything, as Ctrl-C does, and the page is told; the next `up` of an older directory gets a port', async () => {
  const { origin } = new URL(open.page);
  const { cookie } = open;
  const stream = ask(`${open.page}events`, { headers: { cookie } });
  const { status, body } = await ask(`${open.page}actions`, {
    method: 'POST',
    body: '{"action":"stop","target":""}',
    headers: { cookie, origin, 'content-type': 'application/json' },
  });
  expect([status, JSON.parse(body)]).toMatchObject([200, { ok: true }]);
  expect((await stream).body).toContain(`"how":"compute-local up --dir ${it.dir}"`);
  expect(await up.exited()).toBe(0);
  expect(up.stderr()).toBe('');
  expect((await it.command('dashboard')).stderr).toContain('does not run');

  const file = join(it.dir, 'local.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as { ports: Record<string, number> };
  const { dashboard, ...older } = state.ports;
  expect(dashboard).toBeGreaterThan(0);
  for (let attempt = 1; ; attempt++) {
    writeFileSync(file, JSON.stringify({ ...state, ports: older }));
    const { program } = await it.upAndReady();
    // Another program may have taken the port that was free, and then there is no dashboard.
    if (attempt === 4 || !program.stdout().includes('"event":"no-dashboard"')) {
      await openDashboard(linkOf(program));
      break;
    }
    await it.command('stop');
  }
  expect(it.state().ports['dashboard']).toBeGreaterThan(0);
});
