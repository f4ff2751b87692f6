import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { type Rig, rig } from '../support/compute.ts';
import { type EndpointStorage, startStorage } from '../support/endpoint-storage.ts';
import { addNeonExtension } from '../support/neon-extension.ts';
import { type OwnInstallation, movable, ownInstallation } from '../support/own-installation.ts';
import { eventually } from '../support/program.ts';
import { query } from '../support/query.ts';

interface Given {
  readonly it: Rig;
  readonly storage: EndpointStorage;
  readonly spec: (changes?: object) => Record<string, unknown>;
}

let ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const path = (endpoint = 'ep-own'): string =>
  `/3aa8fcc61f6d357410b7de754b1d9001/641e5342083b2235ee3deb8066819683/${endpoint}/lfc_state`;

async function withCache(postgres = movable().at(-1), withNeon = true): Promise<Given> {
  if (postgres === undefined) throw new Error('no PostgreSQL can be copied');
  const installation: OwnInstallation = ownInstallation(postgres);
  if (withNeon) addNeonExtension(installation);
  const it = await rig(installation.postgres);
  ends = [() => it.stop(), () => installation.remove()];
  const storage = await startStorage();
  const spec = (changes: object = {}): Record<string, unknown> => {
    const made = it.spec({
      endpoint_id: 'ep-own',
      endpoint_storage_addr: storage.address,
      endpoint_storage_token: 'token-of-storage',
      ...changes,
    });
    const { settings } = made['cluster'] as { settings: object[] };
    const libraries = withNeon ? 'neon' : '';
    settings.push({ name: 'shared_preload_libraries', value: libraries, vartype: 'string' });
    return made;
  };
  return { it, storage, spec };
}

type State = Record<string, unknown> & { status: string };

const stateOf = async (it: Rig, what: 'prewarm' | 'offload'): Promise<State> =>
  (await it.http('GET', `/lfc/${what}`)).json<State>();

const ended = (it: Rig, what: 'prewarm' | 'offload'): Promise<State> =>
  eventually(`the end of the ${what}`, async () => {
    const state = await stateOf(it, what);
    return ['prewarming', 'offloading'].includes(state.status) ? undefined : state;
  });

test('when Postgres crashes, an endpoint storage that does not answer does not hold up the end', async () => {
  const { it, storage, spec } = await withCache();
  storage.answer = () => {};
  const program = it.start({ spec: spec({ autoprewarm: true }) });
  await it.until('running');
  await eventually('the request', () => (storage.requests.length > 0 ? true : undefined));
  const [pid] = readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n');
  process.kill(Number(pid), 'SIGKILL');
  expect(await program.exited()).toBe(1);
});

test.each(movable())(
  'on PostgreSQL $major the state of the file cache is saved, and loaded again after a start',
  async (postgres) => {
    const { it, storage, spec } = await withCache(postgres);
    it.start({ spec: spec({ autoprewarm: true }) });
    await it.until('running');
    expect((await ended(it, 'prewarm')).status).toBe('skipped');
    await query(it, `update neon.cache set state = '\\x010203'`);
    expect((await it.http('POST', '/lfc/offload')).status).toBe(202);
    expect(await ended(it, 'offload')).toMatchObject({ status: 'completed' });
    expect(zstdDecompressSync(storage.saved.get(path()) ?? Buffer.alloc(0))).toEqual(Buffer.from([1, 2, 3]));
    expect((await it.http('POST', '/lfc/prewarm')).status).toBe(202);
    expect(await ended(it, 'prewarm')).toMatchObject({
      status: 'completed',
      total: 3,
      prewarmed: 3,
      skipped: 0,
    });
    expect(new Set(storage.requests.map(({ token }) => token))).toEqual(new Set(['Bearer token-of-storage']));
    const metrics = (await it.http('GET', '/metrics')).body;
    expect(metrics).toContain('compute_ctl_lfc_prewarms_total 2');
    expect(metrics).toContain('compute_ctl_lfc_offloads_total 1');
    expect(metrics).toContain('compute_ctl_lfc_prewarm_errors_total 0');
    expect(it.log()).not.toContain('token-of-storage');
  },
);

test('a prewarm shows how far it is, ends when it is cancelled, in Postgres, too, and does not spoil the next one', async () => {
  const { it, storage, spec } = await withCache();
  it.start({ spec: spec() });
  await it.until('running');
  storage.saved.set(path('ep-other'), zstdCompressSync(Buffer.alloc(600, 1)));
  storage.saved.set(path(), zstdCompressSync(Buffer.from([7])));
  await it.http('DELETE', '/lfc/prewarm');
  await it.http('POST', '/lfc/prewarm?from_endpoint=ep-other');
  expect((await it.http('POST', '/lfc/prewarm')).status).toBe(429);
  await eventually('figures of the progress', async () =>
    'total' in (await stateOf(it, 'prewarm')) ? true : undefined,
  );
  await it.http('DELETE', '/lfc/prewarm');
  expect(await ended(it, 'prewarm')).toEqual({ status: 'cancelled' });
  await eventually('the end of the call in Postgres', async () => {
    const rows = await query(
      it,
      "select 1 from pg_stat_activity where query like '%prewarm_local_cache%' and pid <> pg_backend_pid()",
    );
    return rows.length === 0 ? true : undefined;
  });
  await it.http('POST', '/lfc/prewarm');
  expect(await ended(it, 'prewarm')).toMatchObject({ status: 'completed', total: 1 });
});

const answers: [string, (response: ServerResponse) => void, string][] = [
  [
    'fails',
    (response) => void response.writeHead(500).end(),
    '500 Internal Server Error querying endpoint storage',
  ],
  ['refuses the token', (response) => void response.writeHead(401).end(), '401 Unauthorized'],
  ['sends what is not compressed', (response) => void response.end('plain'), 'damaged or too large'],
  [
    'sends a state in some kilobytes that would take a gigabyte of memory',
    (response) => void response.end(zstdCompressSync(Buffer.alloc(200 * 1024 * 1024))),
    'damaged or too large',
  ],
  ['cuts the connection', (response) => void response.socket?.destroy(), ''],
  [
    'breaks off',
    (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x', () => response.socket?.destroy());
    },
    '',
  ],
  [
    'promises more than a state can have',
    (response) => response.writeHead(200, { 'content-length': String(2 ** 40) }).flushHeaders(),
    'exceeds 104857600 bytes',
  ],
];

test('an endpoint storage that fails in any way fails the prewarm, and nothing else', async () => {
  const { it, storage, spec } = await withCache();
  it.start({ spec: spec() });
  await it.until('running');
  for (const [what, answer, said] of answers) {
    storage.answer = (_, response) => answer(response);
    await it.http('POST', '/lfc/prewarm');
    const state = await ended(it, 'prewarm');
    expect([what, state.status]).toEqual([what, 'failed']);
    expect(state['error']).toContain(said);
  }
  storage.answer = (_, response) => void response.writeHead(413).end();
  await query(it, `update neon.cache set state = '\\x01'`);
  await it.http('POST', '/lfc/offload');
  expect(await ended(it, 'offload')).toEqual({
    status: 'failed',
    error: 'request to endpoint storage failed: 413 Payload Too Large',
  });
  expect((await it.http('GET', '/metrics')).body).toContain(
    `compute_ctl_lfc_prewarm_errors_total ${answers.length}`,
  );
  expect(await it.until('running')).toMatchObject({ error: null });
});

test('a second save while one is under way is refused, and the first goes on', async () => {
  const { it, storage, spec } = await withCache();
  it.start({ spec: spec() });
  await it.until('running');
  await query(it, `update neon.cache set state = '\\x01'`);
  let answer: () => void = () => {};
  storage.answer = (_, response) => void (answer = () => response.end());
  expect((await it.http('POST', '/lfc/offload')).status).toBe(202);
  await eventually('the request', () => storage.requests[0]);
  expect((await it.http('POST', '/lfc/offload')).status).toBe(429);
  answer();
  expect(await ended(it, 'offload')).toMatchObject({ status: 'completed' });
});

test('the id of another endpoint cannot lead the token to another address', async () => {
  const { it, storage, spec } = await withCache();
  it.start({ spec: spec() });
  await it.until('running');
  for (const id of ['..', '../..', 'a/b', 'a?b', 'a#b', '%2e%2e', 'a b'])
    expect([
      id,
      (await it.http('POST', `/lfc/prewarm?from_endpoint=${encodeURIComponent(id)}`)).status,
    ]).toEqual([id, 400]);
  expect(storage.requests).toEqual([]);
});

test('the state is saved at an interval, which a new spec changes and ends', async () => {
  const { it, storage, spec } = await withCache();
  it.start({ spec: spec({ offload_lfc_interval_seconds: 3600 }) });
  await it.until('running');
  await query(it, `update neon.cache set state = '\\x0102'`);
  const faster = it.config(spec({ offload_lfc_interval_seconds: 1 }));
  expect((await it.http('POST', '/configure', faster)).status).toBe(200);
  await eventually('two saves', () => (storage.requests.length >= 2 ? true : undefined));
  expect((await it.http('POST', '/configure', it.config(spec()))).status).toBe(200);
  const { services } = (await it.http('GET', '/status')).json<{ services: object }>();
  expect(services).not.toHaveProperty('lfc-offload');
});

test('what the spec does not say is the reason why nothing is saved, and a Postgres without the cache says so', async () => {
  const { it, spec } = await withCache(movable().at(-1), false);
  it.start({ spec: spec({ autoprewarm: true, endpoint_storage_token: null }) });
  await it.until('running');
  expect(await ended(it, 'prewarm')).toEqual({
    status: 'failed',
    error: 'pspec.endpoint_storage_token missing',
  });
  await it.http('POST', '/configure', it.config(spec({ autoprewarm: true })));
  await it.http('POST', '/lfc/offload');
  const state = await ended(it, 'offload');
  expect(state['error']).toContain('this Postgres has no local file cache');
  expect(await it.until('running')).toMatchObject({ error: null });
});

test('a replica with the library is promoted only after a prewarm, even one that found nothing', async () => {
  const { it, spec } = await withCache();
  it.start({ spec: spec({ mode: 'Replica' }) });
  await it.until('running');
  const [{ lsn }] = (await query(it, 'select pg_last_wal_replay_lsn()::text as lsn')) as [{ lsn: string }];
  const promote = () => it.http('POST', '/promote', { spec: spec(), wal_flush_lsn: lsn });
  expect((await promote()).body).toContain('compute NotPrewarmed');
  await it.http('POST', '/lfc/prewarm');
  expect((await ended(it, 'prewarm')).status).toBe('skipped');
  expect((await promote()).json()).toMatchObject({ status: 'completed' });
});

test('compute-prewarm and compute-offload fail what they are named after, and nothing else', async () => {
  const { it, spec } = await withCache();
  const env = { FAILPOINTS: 'compute-prewarm=1*return;compute-offload=1*return' };
  it.start({ spec: spec(), args: ['--enable-failpoints'], env });
  await it.until('running');
  for (const what of ['prewarm', 'offload'] as const) {
    await it.http('POST', `/lfc/${what}`);
    expect(await ended(it, what)).toMatchObject({ status: 'failed', error: `compute-${what} failpoint` });
    await it.http('POST', `/lfc/${what}`);
    expect((await ended(it, what)).status).not.toBe('failed');
  }
});
