import * as v from 'valibot';
import { expect, test } from 'vitest';
import { type Status, statuses, statusText } from '../../../../src/core/status.ts';
import { externalRoutes } from '../../../../src/http/routes/external.ts';
import type { ComputeState } from '../../../../src/lifecycle/state.ts';
import type { ResolvedSpec } from '../../../../src/spec/resolve.ts';
import { eventually } from '../../../support/program.ts';
import { configureBody, testSpec } from '../compute-for-tests.ts';
import { exchange, postJson, withServer } from '../support.ts';

const bodies: Readonly<Record<string, string>> = {
  '/configure': configureBody(),
  '/promote': JSON.stringify({ spec: testSpec(), wal_flush_lsn: '0/28F10D8' }),
};

test.each(externalRoutes.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s answers with a body that its schema accepts',
  (_, route) =>
    withServer({}, async ({ send, app }) => {
      Object.assign(app.lfc, { prewarm: () => {}, offload: () => {} });
      app.promote = () =>
        Promise.resolve({
          status: 'completed',
          lsn_wait_time_ms: 1,
          pg_promote_time_ms: 2,
          reconfigure_time_ms: 3,
        });
      const { method, path, contentType } = route;
      const target = path === '/database_schema' ? `${path}?database=a` : path;
      const reply = await send(method, target, path in bodies ? postJson(bodies[path] ?? '') : {});
      expect(reply.status).toBe(route.success ?? 200);
      const empty = reply.body === '';
      expect(reply.headers['content-type']).toBe(empty ? undefined : (contentType ?? 'application/json'));
      const text = contentType !== undefined;
      const body: unknown = empty ? undefined : text ? reply.body : JSON.parse(reply.body);
      expect(v.safeParse(route.reply, body).issues).toBeUndefined();
    }),
);

/** What a client without a token gets. Written down here, so that a route that is opened by mistake fails a test. */
const withoutToken: Readonly<Record<string, 200 | 401>> = {
  'GET /status': 401,
  'GET /metrics': 200,
  'GET /metrics.json': 401,
  'GET /autoscaling_metrics': 200,
  'GET /downtime': 401,
  'GET /insights': 401,
  'GET /dbs_and_roles': 401,
  'GET /database_schema': 401,
  'POST /check_writability': 401,
  'POST /configure': 401,
  'POST /terminate': 401,
  'POST /promote': 401,
  'GET /lfc/prewarm': 401,
  'POST /lfc/prewarm': 401,
  'DELETE /lfc/prewarm': 401,
  'GET /lfc/offload': 401,
  'POST /lfc/offload': 401,
  'GET /hadron_liveness_probe': 401,
  'GET /livez': 200,
  'GET /readyz': 200,
  'GET /startupz': 200,
  'GET /openapi.json': 200,
};

test('metrics, probes and the description of the API need no token, everything else does', () =>
  withServer({}, async ({ port }) => {
    const found: Record<string, number> = {};
    for (const { method, path } of externalRoutes)
      found[`${method} ${path}`] = (await exchange(port, method, path)).status;
    expect(found).toEqual(withoutToken);
  }));

test('/status is compact, in a fixed order and shows what is unknown as null', () =>
  withServer({ at: 'empty' }, async ({ send }) => {
    expect((await send('GET', '/status')).body).toMatch(
      /^\{"start_time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","tenant":null,"timeline":null,"status":"empty","last_active":null,"error":null,"services":\{\}\}$/,
    );
  }));

test('/metrics.json has all thirteen figures in their order', () =>
  withServer({}, async ({ send }) => {
    const figures = JSON.parse((await send('GET', '/metrics.json')).body) as Record<string, number>;
    expect(Object.keys(figures)).toEqual([
      'wait_for_spec_ms',
      'sync_sk_check_ms',
      'sync_safekeepers_ms',
      'pageserver_connect_micros',
      'basebackup_ms',
      'basebackup_bytes',
      'start_postgres_ms',
      'config_ms',
      'total_startup_ms',
      'load_ext_ms',
      'num_ext_downloaded',
      'largest_ext_size',
      'total_ext_download_size',
    ]);
  }));

test('/metrics has no charset in its type and follows the counters', () =>
  withServer({}, async ({ send, metrics }) => {
    metrics.inc('compute_ctl_vm_informant_starts_total');
    const reply = await send('GET', '/metrics');
    expect(reply.headers['content-type']).toBe('text/plain; version=0.0.4');
    expect(reply.body).toContain('\ncompute_ctl_vm_informant_starts_total 1\n');
  }));

test('/configure answers when the compute runs with the spec, and says why it does not', () =>
  withServer({}, async ({ send, app }) => {
    const taken: ResolvedSpec[] = [];
    app.reconfigure = (spec) => Promise.resolve(void taken.push(spec));
    const good = await send('POST', '/configure', postJson(configureBody({ operation_uuid: 'one' })));
    expect(good).toMatchObject({ status: 200, body: JSON.stringify(app.status()) });
    expect(app.status()).toMatchObject({ status: 'running', error: null });
    expect(taken.map(({ spec }) => spec.operation_uuid)).toEqual(['one']);

    const refused = async (changes: object) => {
      const { status, body } = await send('POST', '/configure', postJson(configureBody(changes)));
      return [status, (JSON.parse(body) as { error: string }).error];
    };
    const shape = 'failed to deserialize the json body into the target type: ';
    expect(await refused({ cluster: 5 })).toEqual([422, expect.stringContaining(`${shape}spec.cluster`)]);
    expect(await refused({ tenant_id: null })).toEqual([400, 'tenant id should be provided']);
    expect(await refused({ tenant_id: '0'.repeat(32) })).toEqual([
      400,
      "a running compute's tenant id cannot change",
    ]);
    expect(taken).toHaveLength(1);

    app.reconfigure = () => Promise.reject(new Error('outer', { cause: new Error('inner') }));
    expect(await refused({})).toEqual([
      500,
      expect.stringMatching(
        /^compute configuration failed: "outer\\n\\nCaused by:\\n {4}inner\\n\\nHint: .*\\nCode: internal"$/,
      ),
    ]);
    expect((await send('GET', '/status')).body).toContain('"status":"failed"');
  }));

test('/configure looks at the body first, then at the status', () =>
  withServer({ at: 'init' }, async ({ send }) => {
    expect((await send('POST', '/configure', postJson('{}'))).status).toBe(422);
    expect((await send('POST', '/configure', postJson(configureBody({ tenant_id: null })))).status).toBe(400);
    expect(await send('POST', '/configure', postJson(configureBody()))).toMatchObject({
      status: 412,
      body: '{"error":"invalid compute status: init"}',
    });
  }));

test('/configure waits until the spec is in force, and takes no other spec meanwhile', () =>
  withServer({}, async ({ send, app }) => {
    const waiting: { done: (() => void) | undefined } = { done: undefined };
    app.reconfigure = () => new Promise((resolve) => (waiting.done = resolve));
    const first = send('POST', '/configure', postJson(configureBody()));
    const done = await eventually('the work on it', () => waiting.done);
    expect(await send('POST', '/configure', postJson(configureBody()))).toMatchObject({
      status: 412,
      body: '{"error":"invalid compute status: configuration"}',
    });
    done();
    expect((await first).status).toBe(200);
  }));

test('/terminate answers 200, or 201 when it was over before, and 412 in every other status', async () => {
  const answers: Partial<Record<Status, number>> = {
    empty: 200,
    running: 200,
    failed: 200,
    refresh_configuration_pending: 200,
    terminated: 201,
  };
  for (const at of statuses) {
    await withServer({ at }, async ({ send }) => {
      const reply = await send('POST', '/terminate');
      expect([at, reply.status]).toEqual([at, answers[at] ?? 412]);
      expect(reply.body).toBe(
        reply.status === 412
          ? `{"error":"invalid compute status: ${statusText(at)}"}`
          : '{"lsn":"0/28F10D8"}',
      );
    });
  }
});

test('/terminate takes a mode; with a question mark it must be there, once and known', () =>
  withServer({}, async ({ send, app }) => {
    const modes: string[] = [];
    app.terminate = (mode) => {
      modes.push(mode);
      return Promise.resolve({ lsn: null, already: false });
    };
    for (const query of ['', '?mode=fast', '?mode=immediate&other=1', '?mode=f%61st']) {
      expect(await send('POST', `/terminate${query}`)).toMatchObject({ status: 200, body: '{"lsn":null}' });
    }
    expect(modes).toEqual(['fast', 'fast', 'immediate', 'fast']);
    for (const query of ['?', '?other=1']) {
      const reply = await send('POST', `/terminate${query}`);
      expect(reply).toMatchObject({
        status: 400,
        body: '{"error":"failed to deserialize query string: missing field `mode`"}',
      });
    }
    for (const query of ['?mode=slow', '?mode=', '?mode', '?mode=Fast', '?mode=fast&mode=fast']) {
      expect([query, (await send('POST', `/terminate${query}`)).status]).toEqual([query, 400]);
    }
    expect(modes.length).toBe(4);
  }));

test('the body of /terminate is ignored', () =>
  withServer({}, async ({ send }) => {
    expect((await send('POST', '/terminate', { body: '{nonsense' })).status).toBe(200);
  }));

test('a compute whose Postgres is full is ready, and says that it is full', () =>
  withServer({}, async ({ send, app: { state } }) => {
    state.monitor = { up: true, full: true } as ComputeState['monitor'];
    const { status, body } = await send('GET', '/readyz');
    expect([status, JSON.parse(body)]).toEqual([
      200,
      { status: state.lifecycle.status, since: state.lifecycle.since.toISOString(), full: true },
    ]);
  }));

test('a compute is not ready while its Postgres is gone or does not answer', () =>
  withServer({}, async ({ send, app: { state } }) => {
    const ready = async () => (await send('GET', '/readyz')).status;
    expect(await ready()).toBe(200);
    const report = { up: false, since: '2026-01-01T00:00:00.000Z', reason: 'sqlstate', sqlstate: '57P03' };
    state.monitor = { begun: true, postgresReport: () => report } as unknown as ComputeState['monitor'];
    expect(await ready()).toBe(503);
    expect(JSON.parse((await send('GET', '/readyz')).body)).toMatchObject({
      since: report.since,
      reason: 'Postgres does not answer: sqlstate 57P03',
    });
    state.monitor = null;
    state.postgres = null;
    expect(await ready()).toBe(503);
  }));

test('a compute whose commits do not return is not ready, and says why, as far as it knows', () =>
  withServer({}, async ({ send, app: { state } }) => {
    const up = { up: true, since: '2026-01-01T00:00:00.000Z', reason: null, sqlstate: null };
    const stuckCommits = {
      sinceWallMs: Date.parse('2026-01-02T00:00:00Z'),
      reason: 'not_connected',
      waiting: 3,
    };
    const monitor = { begun: true, up: true, postgresReport: () => up, stuckCommits };
    state.monitor = monitor as unknown as ComputeState['monitor'];
    const { status, body } = await send('GET', '/readyz');
    expect([status, JSON.parse(body)]).toEqual([
      503,
      {
        status: 'running',
        since: '2026-01-02T00:00:00.000Z',
        reason: 'commits do not return: no synchronous standby is connected',
      },
    ]);
    expect(state.status().commits).toMatchObject({ since: '2026-01-02T00:00:00.000Z', waiting: 3 });
    state.storage = {
      words: 'the storage says that the disk is full',
      trouble: { reason: 'no space left on /secret/path', act: 'free space' },
      writesStopped: true,
    };
    const told = (await send('GET', '/readyz')).body;
    expect(JSON.parse(told)).toMatchObject({
      reason: 'commits do not return: the storage says that the disk is full',
      writes_stopped: true,
    });
    // Anybody may ask.
    expect(told).not.toContain('secret');
    expect(state.status().commits).toMatchObject({
      reason: 'no space left on /secret/path',
      hint: 'free space',
    });
  }));

test('the probes tell alive, ready and started apart', async () => {
  const expected: [Status, number, number][] = [
    ['empty', 503, 503],
    ['init', 503, 503],
    ['running', 200, 200],
    ['refresh_configuration', 200, 200],
    ['terminated', 503, 503],
    ['failed', 503, 503],
  ];
  for (const [at, ready, started] of expected) {
    await withServer({ at }, async ({ port }) => {
      const probe = async (path: string) => (await exchange(port, 'GET', path)).status;
      expect([at, await probe('/livez'), await probe('/readyz'), await probe('/startupz')]).toEqual([
        at,
        200,
        ready,
        started,
      ]);
      for (const [path, ok] of [
        ['/readyz', ready === 200],
        ['/startupz', started === 200],
      ] as const) {
        const body = JSON.parse((await exchange(port, 'GET', path)).body) as Record<string, string>;
        expect([path, body['status'], Date.parse(body['since'] ?? '') > 0]).toEqual([path, at, true]);
        expect([at, path, (body['reason'] ?? '') === '']).toEqual([at, path, ok]);
      }
    });
  }
});
