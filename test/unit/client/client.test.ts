import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { ComputeClient, ComputeHttpError, InternalClient } from '../../../src/client/index.ts';
import { internalRoutes } from '../../../src/http/routes/internal.ts';
import { freePort } from '../../support/cluster.ts';
import { testSpec } from '../http/compute-for-tests.ts';
import { type TestServer, withServer } from '../http/support.ts';

const client = ({ port, token }: TestServer, more: object = {}): ComputeClient =>
  new ComputeClient({ url: `http://127.0.0.1:${port}/`, token, ...more });

const spec = testSpec();

test('every call of the external server gets its answer', () =>
  withServer({}, async (server) => {
    const it = client(server);
    Object.assign(server.app.lfc, {
      prewarm: (from: string | null) => void asked.push(from),
      offload: () => {},
    });
    const asked: unknown[] = [];
    expect(await it.status()).toMatchObject({ status: 'running' });
    expect(await it.startFigures()).toMatchObject({ total_startup_ms: 8 });
    expect(await it.metrics()).toContain('# TYPE');
    expect(await it.autoscalingMetrics()).toBe('m 1\n');
    expect(await it.insights()).toEqual({ pg_stat_statements: [] });
    expect(await it.dbsAndRoles()).toEqual({ roles: [], databases: [] });
    expect(await it.downtime()).toHaveProperty('incidents');
    expect(await new Response(await it.databaseSchema('a=b & c')).text()).toBe('-- nothing\n');
    expect(await it.checkWritability()).toBe(true);
    expect(await it.configure({ spec, compute_ctl_config: { jwks: { keys: [] } } })).toMatchObject({
      status: 'running',
    });
    expect(await it.promote({ spec, wal_flush_lsn: '0/1' })).toEqual({
      status: 'failed',
      error: 'compute mode "primary" is not replica',
    });
    expect(await it.prewarmState()).toEqual({ status: 'not_prewarmed' });
    await it.prewarm();
    await it.prewarm('ep-1');
    expect(asked).toEqual([null, 'ep-1']);
    await it.cancelPrewarm();
    expect(await it.offloadState()).toEqual({ status: 'not_offloaded' });
    await it.offload();
    await it.liveness();
    expect(await it.terminate('immediate')).toEqual({ lsn: '0/28F10D8' });
    expect(await it.status()).toMatchObject({ status: 'terminated' });
  }));

test('every call of the internal server gets its answer', () =>
  withServer({ name: 'internal HTTP server', routes: internalRoutes }, async ({ port, app }) => {
    const it = new InternalClient({ url: `http://127.0.0.1:${port}` });
    const asked: unknown[] = [];
    app.downloadExtension = (...given) => Promise.resolve(void asked.push(given.slice(0, 2)));
    const wanted = { extension: 'hstore', database: 'a', version: '1.8' };
    expect(await it.installExtension(wanted)).toEqual({ extension: 'hstore', version: '1.8' });
    const grant = { database: 'a', schema: 'public', privileges: ['USAGE' as const], role: 'b' };
    expect(await it.grant(grant)).toEqual(grant);
    await it.refreshConfiguration();
    await it.downloadExtension('a/b ü.so', true);
    expect(asked).toEqual([['a/b ü.so', true]]);
  }));

test('the probes are yes or no', () =>
  withServer({ at: 'init' }, async (server) => {
    const it = client(server);
    const probes = [await it.probe('livez'), await it.probe('readyz'), await it.probe('startupz')];
    expect(probes).toEqual([true, false, false]);
  }));

test('a failure carries status, words and the id of the request', () =>
  withServer({ at: 'init' }, async (server) => {
    const asked = client(server).configure(
      { spec, compute_ctl_config: { jwks: { keys: [] } } },
      { requestId: 'op-1' },
    );
    const error = await asked.catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(ComputeHttpError);
    expect(error).toMatchObject({
      status: 412,
      requestId: 'op-1',
      message: 'POST /configure: 412 invalid compute status: init',
    });
    await expect(client(server, { token: 'no' }).status()).rejects.toMatchObject({ status: 401 });
  }));

/** Answers each request as the next of `steps` says; the number of requests comes back. */
async function flaky(
  steps: readonly ('cut' | number)[],
  use: (url: string) => Promise<void>,
): Promise<number> {
  let seen = 0;
  const server = createServer((incoming, answer) => {
    const step = steps[seen++] ?? 200;
    if (step === 'cut') incoming.socket.destroy();
    else answer.writeHead(step, { 'content-type': 'application/json' }).end('{"status":"running"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return seen;
}

test('what has no effect is sent again after a broken connection and a 503, a few times', async () => {
  const asked = await flaky(['cut', 503, 200], async (url) => {
    expect(await new ComputeClient({ url }).status()).toEqual({ status: 'running' });
  });
  expect(asked).toBe(3);
  const given = await flaky([503, 503, 503], async (url) => {
    await expect(new ComputeClient({ url }).status()).rejects.toMatchObject({ status: 503 });
  });
  expect(given).toBe(3);
  const others = await flaky([500], async (url) => {
    await expect(new ComputeClient({ url }).status()).rejects.toMatchObject({ status: 500 });
  });
  expect(others).toBe(1);
});

test('what has an effect is never sent twice to somebody who may have taken it', async () => {
  for (const step of ['cut', 503] as const) {
    const asked = await flaky([step], async (url) => {
      await expect(new ComputeClient({ url }).terminate()).rejects.toBeInstanceOf(Error);
    });
    expect(asked).toBe(1);
  }
});

test('a connection that nobody took is tried again, also for what has an effect', async () => {
  const port = await freePort();
  const server = createServer((_, answer) => answer.end('{"lsn":null}'));
  const it = new ComputeClient({ url: `http://127.0.0.1:${port}`, retries: 8 });
  const asked = it.terminate();
  server.listen(port, '127.0.0.1');
  expect(await asked).toEqual({ lsn: null });
  server.closeAllConnections();
  server.close();
});

test('a call ends when its time is up or nobody wants it any more', async () => {
  const server = createServer(() => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(new ComputeClient({ url, timeoutMs: 30 }).status()).rejects.toMatchObject({
    name: 'TimeoutError',
  });
  const leaving = new AbortController();
  const asked = new ComputeClient({ url }).terminate('fast', { signal: leaving.signal });
  leaving.abort();
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  server.closeAllConnections();
  server.close();
});
