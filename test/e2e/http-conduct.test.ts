import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mintToken } from '../../src/client/index.ts';
import { withPg } from '../../src/pg/client.ts';
import type { Rig } from '../support/compute.ts';
import { type HttpRig, httpRig } from '../support/http-rig.ts';
import { eventually } from '../support/program.ts';
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
let on: HttpRig;
let it: Rig;
beforeAll(async () => {
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    INSTANCE_ID: 'stray',
    RUST_LOG: 'debug',
  };
  on = await httpRig({ prepare: () => ({ env }) });
  ({ it } = on);
});
afterAll(async () => {
  collector.closeAllConnections();
  collector.close();
  await it.stop();
});

test('a stray INSTANCE_ID opens nothing, and says so', () => {
  const { program } = on;
  expect(program.stderr()).toContain('INSTANCE_ID is set: it has no effect outside lakebase mode');
});

test('the internal server is not reached from outside the loopback', async () => {
  const { program } = on;
  expect(program.stderr()).toMatch(/internal HTTP server listening at 127\.0\.0\.1:/);
  expect(program.stderr()).not.toMatch(/internal HTTP server listening at (\[::\]|0\.0\.0\.0):/);
});

test('thousands of silent connections do not keep others from being served', async () => {
  const { external } = on;
  const sockets = Array.from({ length: 1500 }, () => connect(it.httpPort, '127.0.0.1').on('error', () => {}));
  await eventually('the connections', () =>
    sockets.every((socket) => !socket.connecting) ? true : undefined,
  );
  expect(await external.status()).toMatchObject({ status: 'running' });
  for (const socket of sockets) socket.destroy();
});

test('while one /configure is worked on, another and /terminate get 412, and a hundred others are served', async () => {
  const { external, internalPort, ask, bearer, posting } = on;
  const target = { host: '127.0.0.1', port: it.port, user: 'cloud_admin', password: null, options: '' };
  const session = { applicationName: 'test', connectMs: 5000, signal };
  await withPg({ ...target, database: 'postgres' }, session, async (pg) => {
    // A catalog pass reads it first, and waits for the lock of a superuser.
    await pg.query('begin; lock table pg_catalog.pg_subscription in access exclusive mode');
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
    await pg.query('rollback');
    expect(await first).toMatchObject({ status: 200 });
  });
});

test('keys of an accepted /configure take the place of the old ones', async () => {
  const { ask, bearer, posting } = on;
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
  await eventually('a reconfiguration below its request', () => {
    const spans = all();
    const requests = new Set(spans.filter(({ name }) => name === 'HTTP').map(({ spanId }) => spanId));
    const found = spans.some(
      ({ name, parentSpanId = '' }) => name === 'reconfigure' && requests.has(parentSpanId),
    );
    return found ? true : undefined;
  });
  expect(JSON.stringify(received)).not.toMatch(/eyJ[\w-]+\.eyJ/);
});

test('no token is ever in the log, however much it says', () => {
  const { program } = on;
  expect(program.stderr()).not.toMatch(/eyJ[\w-]+\.eyJ/);
});

test('terminate answers, then says that it was over, and the last spans are sent', async () => {
  const { external, program } = on;
  const before = received.length;
  expect(await external.terminate('immediate')).toEqual({ lsn: '0/169B1D8' });
  expect(await program.exited()).toBe(0);
  expect(received.length).toBeGreaterThan(before);
});
