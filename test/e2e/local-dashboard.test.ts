import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Messages } from '../../src/local/dashboard/model.ts';
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
  expect(model?.offers).toMatchObject([{ action: 'stop' }]);
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
  expect((await stream).body).toContain('event: ended');
  expect(await up.exited()).toBe(0);
  expect(up.stderr()).toBe('');
  expect((await it.command('dashboard')).stderr).toContain('does not run');

  const file = join(it.dir, 'local.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as { ports: Record<string, number> };
  const { dashboard, ...older } = state.ports;
  expect(dashboard).toBeGreaterThan(0);
  writeFileSync(file, JSON.stringify({ ...state, ports: older }));
  const { program } = await it.upAndReady();
  await openDashboard(linkOf(program));
  expect(it.state().ports['dashboard']).toBeGreaterThan(0);
});
