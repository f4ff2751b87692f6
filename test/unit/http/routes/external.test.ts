import * as v from 'valibot';
import { expect, test } from 'vitest';
import { ComputeError, errorCodes } from '../../../../src/core/errors.ts';
import { type Status, statuses, statusText } from '../../../../src/core/status.ts';
import { externalRoutes } from '../../../../src/http/routes/external.ts';
import { exchange, postJson, withServer } from '../support.ts';

const spec = {
  format_version: 1,
  suspend_timeout_seconds: 0,
  cluster: { roles: [], databases: [], settings: [] },
};
const bodies: Readonly<Record<string, object>> = {
  '/configure': { spec, compute_ctl_config: { jwks: { keys: [] } } },
  '/promote': { spec, wal_flush_lsn: '0/28F10D8' },
};

test('every route answers with a body that its schema accepts', () =>
  withServer({}, async ({ send, app }) => {
    const idle = { ...app.lfc, prewarm: () => {}, offload: () => {} };
    app.lfc = idle;
    app.promote = () =>
      Promise.resolve({
        status: 'completed',
        lsn_wait_time_ms: 1,
        pg_promote_time_ms: 2,
        reconfigure_time_ms: 3,
      });
    for (const route of externalRoutes) {
      const { method, path, contentType } = route;
      const target = path === '/database_schema' ? `${path}?database=a` : path;
      const reply = await send(method, target, path in bodies ? postJson(JSON.stringify(bodies[path])) : {});
      expect([path, reply.status]).toEqual([path, route.success ?? 200]);
      const empty = reply.body === '';
      const type = empty ? undefined : (contentType ?? 'application/json');
      expect([path, reply.headers['content-type']]).toEqual([path, type]);
      const text = contentType !== undefined;
      const body: unknown = empty ? undefined : text ? reply.body : JSON.parse(reply.body);
      expect([path, v.safeParse(route.reply, body).issues]).toEqual([path, undefined]);
    }
  }));

test('metrics and probes need no token, everything else does', () =>
  withServer({}, async ({ port }) => {
    const open = new Set<string>();
    for (const { method, path, auth } of externalRoutes) {
      const { status } = await exchange(port, method, path);
      expect([path, status]).toEqual([path, auth === 'none' ? 200 : 401]);
      if (auth === 'none') open.add(path);
    }
    const names = ['/autoscaling_metrics', '/livez', '/metrics', '/openapi.json', '/readyz', '/startupz'];
    expect([...open].sort()).toEqual(names);
  }));

test('/status is compact, in a fixed order and shows what is unknown as null', () =>
  withServer({ at: 'empty' }, async ({ send }) => {
    expect((await send('GET', '/status')).body).toBe(
      '{"start_time":"2025-08-08T12:00:00.123Z","tenant":null,"timeline":null,"status":"empty","last_active":null,"error":null}',
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

test('/configure hands the body on as it came and passes every failure of the app through', () =>
  withServer({}, async ({ send, app }) => {
    const seen: unknown[] = [];
    app.onConfigure = (body) => {
      seen.push(body);
      return Promise.resolve(app.status());
    };
    expect((await send('POST', '/configure', postJson('{"spec":{"a":[1]}}'))).body).toBe(
      JSON.stringify(app.status()),
    );
    expect(seen).toEqual([{ spec: { a: [1] } }]);
    const failures: [ConstructorParameters<typeof ComputeError>[0], string, string][] = [
      ['spec_shape', 'x', 'failed to deserialize the json body into the target type: x'],
      ['spec_invalid', 'tenant id should be provided', 'tenant id should be provided'],
      ['wrong_status', 'invalid compute status: init', 'invalid compute status: init'],
      [
        'internal',
        'compute configuration failed: "unknown error"',
        'compute configuration failed: "unknown error"',
      ],
    ];
    for (const [code, message, text] of failures) {
      app.onConfigure = () => Promise.reject(new ComputeError(code, message, { cause: new Error('inner') }));
      const reply = await send('POST', '/configure', postJson('{}'));
      expect(reply).toMatchObject({ status: errorCodes[code].http, body: JSON.stringify({ error: text }) });
    }
  }));

test('/configure leaves the status to the app, which looks at the body first', async () => {
  await withServer({ at: 'init' }, async ({ send, app }) => {
    expect((await send('POST', '/configure', postJson('{}'))).status).toBe(412);
    app.onConfigure = () =>
      Promise.reject(new ComputeError('spec_shape', 'spec: expected object, found nothing'));
    expect((await send('POST', '/configure', postJson('{}'))).status).toBe(422);
  });
});

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
    app.onTerminate = (mode) => {
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

test('the probes tell alive, ready and started apart', async () => {
  const expected: [Status, number, number][] = [
    ['empty', 503, 503],
    ['init', 503, 503],
    ['running', 200, 200],
    ['refresh_configuration', 503, 200],
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
      expect((await exchange(port, 'GET', '/readyz')).body).toBe(`{"status":"${at}"}`);
    });
  }
});
