import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ComputeClient, InternalClient, mintToken } from '../../src/client/index.ts';
import { withPg } from '../../src/pg/client.ts';
import { type Rig, rig } from '../support/compute.ts';
import { undocumented } from '../support/openapi.ts';
import { type Program, eventually } from '../support/program.ts';
import { issuer } from '../support/tokens.ts';

interface Received {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly spans: readonly { name: string; spanId: string; parentSpanId?: string; traceId: string }[];
    }[];
  }[];
}

const { signal } = new AbortController();
const received: Received[] = [];
const collector = createServer((incoming, answer) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    received.push(JSON.parse(Buffer.concat(chunks).toString()) as Received);
    answer.end('{}');
  });
});
let it: Rig;
let program: Program;
let internalPort: number;
let external: ComputeClient;
let internal: InternalClient;

const url = (port: number): string => `http://127.0.0.1:${port}`;

/** Any request to either server; what comes back must be documented. */
async function ask(port: number, method: string, target: string, options: RequestInit = {}) {
  const response = await fetch(url(port) + target, { ...options, method });
  const { status, headers } = response;
  const body = await response.text();
  const found = undocumented({ method, target, status, contentType: headers.get('content-type'), body });
  expect(found).toEqual([]);
  return { status, body, headers };
}

const bearer = (token = mintToken({ key: it.keys.privateKey, for: 'admin' })): Record<string, string> => ({
  authorization: `Bearer ${token}`,
});
const posting = (body: unknown): RequestInit => ({
  headers: { ...bearer(), 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

beforeAll(async () => {
  it = await rig();
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  program = it.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: url((collector.address() as AddressInfo).port),
      OTEL_BSP_SCHEDULE_DELAY: '100',
      TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      INSTANCE_ID: 'stray',
      RUST_LOG: 'debug',
    },
  });
  await it.until('running');
  internalPort = listening('internal');
  const token = (): string =>
    mintToken({ key: it.keys.privateKey, kid: 'test', for: { computeId: 'compute-1' } });
  external = new ComputeClient({ url: url(it.httpPort), token });
  internal = new InternalClient({ url: url(internalPort) });
});
afterAll(async () => {
  collector.closeAllConnections();
  collector.close();
  await it.stop();
});

/** The rig chooses the port by itself. */
const listening = (server: string): number =>
  Number(
    new RegExp(`compute_ctl ${server} HTTP server listening at \\S+:(\\d+)`).exec(program.stderr())?.[1],
  );

const query = <T>(sql: string, database = 'postgres'): Promise<T[]> =>
  withPg(
    {
      host: '127.0.0.1',
      port: it.port,
      user: 'cloud_admin',
      password: null,
      database: 'postgres',
      options: '',
    },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, database, signal },
    async (pg) => (await pg.query(sql)).rows as T[],
  );

test('every route of the external server answers with its success on a real compute', async () => {
  expect(await external.status()).toMatchObject({ status: 'running', error: null });
  expect(await external.startFigures()).toHaveProperty('total_ext_download_size', 0);
  expect(await external.metrics()).toContain('compute_ctl_up');
  expect(await external.probe('readyz')).toBe(true);
  expect(await external.insights()).toEqual({ pg_stat_statements: [] });
  const { roles, databases } = await external.dbsAndRoles();
  expect(roles.map(({ name }) => name)).toEqual(expect.arrayContaining(['cloud_admin', 'pg_monitor']));
  expect(databases.map(({ name }) => name)).toContain('template0');
  expect(await external.checkWritability()).toBe(true);
  const dump = await new Response(await external.databaseSchema('postgres')).text();
  expect(dump).toContain('-- PostgreSQL database dump complete');
  expect(await external.prewarmState()).toEqual({ status: 'not_prewarmed' });
  expect(await external.offloadState()).toEqual({ status: 'not_offloaded' });
  await external.cancelPrewarm();
  await external.liveness();
  const document = JSON.parse((await ask(it.httpPort, 'GET', '/openapi.json')).body) as { openapi: string };
  expect(document.openapi).toBe('3.1.0');
});

test('every route of the internal server answers with its success on a real compute', async () => {
  const [newest] = await query<{ v: string }>(
    "select default_version v from pg_available_extensions where name = 'plpgsql'",
  );
  const wanted = { extension: 'plpgsql', database: 'postgres', version: newest?.v ?? '' };
  expect(await internal.installExtension(wanted)).toEqual({ extension: 'plpgsql', version: newest?.v });
  await query('create role reader');
  const grant = { database: 'postgres', schema: 'public', privileges: ['CREATE' as const], role: 'reader' };
  expect(await internal.grant(grant)).toEqual(grant);
  expect(await query("select has_schema_privilege('reader', 'public', 'create') ok")).toEqual([{ ok: true }]);
  await internal.refreshConfiguration();
  await eventually('the refresh', async () =>
    (await external.status()).status === 'running' ? true : undefined,
  );
  expect(program.stderr()).toContain('the configuration is what it was');
});

test('a refresh that finds no file shows why, tries again, and may be overtaken', async () => {
  const file = join(it.home, 'config.json');
  writeFileSync(file, '{');
  await internal.refreshConfiguration();
  const seen = await eventually('the failure', async () => {
    const status = await external.status();
    return status.status === 'refresh_configuration_pending' ? status : undefined;
  });
  expect(seen.error).toContain('config.json');
  const spec = it.spec();
  (spec['cluster'] as { settings: object[] }).settings.push({
    name: 'work_mem',
    value: '9MB',
    vartype: 'string',
  });
  writeFileSync(file, JSON.stringify(it.config(spec)));
  await internal.refreshConfiguration();
  await eventually('the refresh', async () => {
    const { status, error } = await external.status();
    return status === 'running' && error === null ? true : undefined;
  });
  await eventually('the setting', async () => {
    const [row] = await query<{ work_mem: string }>('show work_mem');
    return row?.work_mem === '9MB' ? true : undefined;
  });
});

test('every failure of the tables has its status and its words', async () => {
  const spec = it.spec();
  const config = it.config(spec);
  const other = mintToken({ key: it.keys.privateKey, for: { computeId: 'compute-2' } });
  const cases: readonly [port: number, method: string, target: string, RequestInit, number, RegExp][] = [
    [it.httpPort, 'GET', '/nothing', {}, 404, /^$/],
    [it.httpPort, 'POST', '/status', {}, 405, /^$/],
    [it.httpPort, 'POST', '/grants', {}, 404, /^$/],
    [it.httpPort, 'GET', '/status', {}, 401, /invalid authorization token/],
    [
      it.httpPort,
      'GET',
      '/status',
      { headers: { authorization: 'Basic x' } },
      400,
      /invalid authorization token/,
    ],
    [it.httpPort, 'GET', '/status', { headers: bearer('a.b.c') }, 401, /failed to verify/],
    [it.httpPort, 'GET', '/status', { headers: bearer(other) }, 403, /invalid compute ID/],
    [it.httpPort, 'GET', '/database_schema', { headers: bearer() }, 400, /missing field `database`/],
    [
      it.httpPort,
      'GET',
      '/database_schema?database=none',
      { headers: bearer() },
      404,
      /database does not exist/,
    ],
    [it.httpPort, 'GET', '/autoscaling_metrics', {}, 500, /connecting to communicator control socket/],
    [it.httpPort, 'POST', '/terminate?other=1', { headers: bearer() }, 400, /missing field `mode`/],
    [it.httpPort, 'POST', '/lfc/prewarm', { headers: bearer() }, 501, /not built/],
    [
      it.httpPort,
      'POST',
      '/lfc/prewarm?other=1',
      { headers: bearer() },
      400,
      /missing field `from_endpoint`/,
    ],
    [it.httpPort, 'POST', '/lfc/offload', { headers: bearer() }, 501, /not built/],
    [it.httpPort, 'POST', '/configure', { headers: bearer() }, 415, /content-type/],
    [it.httpPort, 'POST', '/configure', posting('{'), 400, /failed to parse the request body as json/],
    [it.httpPort, 'POST', '/configure', posting({ spec }), 422, /compute_ctl_config/],
    [it.httpPort, 'POST', '/configure', posting(`"${'x'.repeat(2_100_000)}"`), 413, /length limit exceeded/],
    [
      it.httpPort,
      'POST',
      '/configure',
      posting({ ...config, spec: { ...spec, tenant_id: null } }),
      400,
      /tenant id should be provided/,
    ],
    [it.httpPort, 'POST', '/promote', posting({ spec }), 422, /wal_flush_lsn/],
    [it.httpPort, 'POST', '/promote', posting({ spec, wal_flush_lsn: 'x' }), 422, /LSN/],
    [
      it.httpPort,
      'POST',
      '/promote',
      posting({ spec, wal_flush_lsn: '0/1' }),
      500,
      /^{"status":"failed","error":"compute mode \\"primary\\" is not replica"}$/,
    ],
    [internalPort, 'GET', '/status', {}, 404, /^$/],
    [internalPort, 'POST', '/failpoints', {}, 404, /^$/],
    [internalPort, 'POST', '/extension_server/anon', {}, 412, /remote storage is not configured/],
    [internalPort, 'POST', '/extension_server/anon?is_library=1', {}, 400, /is_library/],
    [internalPort, 'POST', '/extensions', posting({ extension: 'a' }), 422, /database/],
    [
      internalPort,
      'POST',
      '/extensions',
      posting({ extension: 'a', database: 'postgres', version: '1' }),
      500,
      /failed to install extension: /,
    ],
    [
      internalPort,
      'POST',
      '/grants',
      posting({ database: 'none', schema: 'public', privileges: [], role: 'a' }),
      500,
      /failed to grant role privileges to the schema: database .*none.* does not exist/,
    ],
  ];
  for (const [port, method, target, options, status, body] of cases) {
    const answer = await ask(port, method, target, options);
    expect([method, target, answer.status]).toEqual([method, target, status]);
    expect(answer.body).toMatch(body);
    expect(answer.headers.get('x-request-id')).toMatch(/^\S+$/);
  }
  expect(await external.status()).toMatchObject({ status: 'running', error: null });
});

test('a stray INSTANCE_ID opens nothing, and says so', () => {
  expect(program.stderr()).toContain('INSTANCE_ID is set: it has no effect outside lakebase mode');
});

test('the internal server is not reached from outside the loopback', async () => {
  expect(program.stderr()).toMatch(/internal HTTP server listening at 127\.0\.0\.1:/);
  expect(program.stderr()).not.toMatch(/internal HTTP server listening at (\[::\]|0\.0\.0\.0):/);
});

test('thousands of silent connections do not keep others from being served', async () => {
  const sockets = Array.from({ length: 1500 }, () => connect(it.httpPort, '127.0.0.1').on('error', () => {}));
  await eventually('the connections', () =>
    sockets.every((socket) => !socket.connecting) ? true : undefined,
  );
  expect(await external.status()).toMatchObject({ status: 'running' });
  for (const socket of sockets) socket.destroy();
});

test('while one /configure is worked on, another and /terminate get 412, and a hundred others are served', async () => {
  const target = { host: '127.0.0.1', port: it.port, user: 'cloud_admin', password: null, options: '' };
  const session = { applicationName: 'test', connectMs: 5000, signal };
  await withPg({ ...target, database: 'postgres' }, session, async (pg) => {
    // The lock that a catalog pass takes first: whoever has it holds up the configuration.
    await pg.query('select pg_advisory_lock(1668246631, 1)');
    const configure = () => ask(it.httpPort, 'POST', '/configure', posting(it.config(it.spec())));
    const first = configure();
    await eventually('the configuration', async () =>
      (await external.status()).status === 'configuration' ? true : undefined,
    );
    expect(await configure()).toMatchObject({
      status: 412,
      body: '{"error":"invalid compute status: configuration"}',
    });
    expect((await ask(it.httpPort, 'POST', '/terminate', { headers: bearer() })).status).toBe(412);
    expect((await ask(internalPort, 'POST', '/refresh_configuration')).status).toBe(500);
    const others = await Promise.all(Array.from({ length: 100 }, () => external.status()));
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set(['configuration']));
    expect(await external.probe('readyz')).toBe(true);
    await pg.query('select pg_advisory_unlock(1668246631, 1)');
    expect(await first).toMatchObject({ status: 200 });
  });
});

test('keys of an accepted /configure take the place of the old ones', async () => {
  const next = issuer();
  const body = { spec: it.spec(), compute_ctl_config: { jwks: next.jwks } };
  expect((await ask(it.httpPort, 'POST', '/configure', posting(body))).status).toBe(200);
  expect((await ask(it.httpPort, 'GET', '/status', { headers: bearer() })).status).toBe(401);
  const fresh = mintToken({ key: next.privateKey, for: 'admin' });
  expect((await ask(it.httpPort, 'GET', '/status', { headers: bearer(fresh) })).status).toBe(200);
  const back = { ...body, compute_ctl_config: { jwks: it.keys.jwks } };
  const headers = { ...bearer(fresh), 'content-type': 'application/json' };
  await ask(it.httpPort, 'POST', '/configure', { headers, body: JSON.stringify(back) });
});

test('a trace leads from what started the process to the SQL', async () => {
  const all = () =>
    received.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  const chain = await eventually('the spans', () => {
    const spans = all();
    const above = (id: string | undefined) => spans.find(({ spanId }) => spanId === id);
    const sql = spans.find(({ name, parentSpanId }) => {
      const step = above(parentSpanId);
      return name.startsWith('catalog ') && above(step?.parentSpanId)?.name === 'start_compute';
    });
    const step = above(sql?.parentSpanId);
    const story = above(step?.parentSpanId);
    return sql === undefined ? undefined : { step: step?.name, story };
  });
  expect(chain.step).toBe('apply-catalog');
  expect(chain.story).toMatchObject({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    parentSpanId: 'b7ad6b7169203331',
  });
  const spans = all();
  const reconfigured = spans
    .filter(({ name }) => name === 'reconfigure')
    .map(({ parentSpanId }) => parentSpanId);
  const requests = new Set(spans.filter(({ name }) => name === 'HTTP').map(({ spanId }) => spanId));
  expect(reconfigured.some((id) => id !== undefined && requests.has(id))).toBe(true);
  expect(JSON.stringify(received)).not.toMatch(/eyJ[\w-]+\.eyJ/);
});

test('no token is ever in the log, however much it says', () => {
  expect(program.stderr()).not.toMatch(/eyJ[\w-]+\.eyJ/);
});

test('terminate answers, then says that it was over, and the last spans are sent', async () => {
  const before = received.length;
  expect(await external.terminate('immediate')).toEqual({ lsn: '0/169B1D8' });
  expect(await program.exited()).toBe(0);
  expect(received.length).toBeGreaterThan(before);
});
