import { expect, test } from 'vitest';
import { ComputeError } from '../../../../src/core/errors.ts';
import { internalRoutes, testRoutes } from '../../../../src/http/routes/internal.ts';
import { exchange, postJson, withServer } from '../support.ts';

const internal = { name: 'internal HTTP server', routes: internalRoutes };
const extension = JSON.stringify({ extension: 'pg_session_jwt', database: 'neondb', version: '1.0.0' });
const grant = { database: 'neondb', schema: 'public', privileges: ['USAGE'], role: 'neon' };

test('nobody needs a token, and routes of the other server are unknown', () =>
  withServer(internal, async ({ port }) => {
    expect((await exchange(port, 'POST', '/refresh_configuration')).status).toBe(200);
    expect((await exchange(port, 'GET', '/status')).status).toBe(404);
    expect((await exchange(port, 'POST', '/failpoints')).status).toBe(404);
  }));

test('/extensions answers 201 with what is installed now', () =>
  withServer(internal, async ({ port, app }) => {
    const asked: unknown[] = [];
    app.database.installExtension = (wanted) => {
      asked.push(wanted);
      return Promise.resolve();
    };
    expect(await exchange(port, 'POST', '/extensions', postJson(extension))).toMatchObject({
      status: 201,
      body: '{"extension":"pg_session_jwt","version":"1.0.0"}',
    });
    expect(asked).toEqual([JSON.parse(extension)]);
  }));

test('/grants echoes the request in its own order, and knows its privileges', () =>
  withServer(internal, async ({ port }) => {
    const { role, ...rest } = grant;
    expect(
      await exchange(port, 'POST', '/grants', postJson(JSON.stringify({ role, ...rest }))),
    ).toMatchObject({
      status: 201,
      body: JSON.stringify(grant),
    });
    for (const privileges of [['usage'], ['ALL'], 'USAGE', null, [1]]) {
      const reply = await exchange(
        port,
        'POST',
        '/grants',
        postJson(JSON.stringify({ ...grant, privileges })),
      );
      expect([privileges, reply.status]).toEqual([privileges, 422]);
    }
  }));

test('a failure of the database is 500 in the shape of all errors', () =>
  withServer(internal, async ({ port, app }) => {
    const failing = () => Promise.reject(new ComputeError('sql', 'failed to install extension: no'));
    app.database.installExtension = failing;
    expect(await exchange(port, 'POST', '/extensions', postJson(extension))).toMatchObject({
      status: 500,
      body: '{"error":"failed to install extension: no"}',
    });
  }));

test('the status is looked at after the body, and only running will do', () =>
  withServer({ ...internal, at: 'configuration' }, async ({ port }) => {
    for (const path of ['/extensions', '/grants']) {
      expect((await exchange(port, 'POST', path, postJson('{}'))).status).toBe(422);
    }
    expect(await exchange(port, 'POST', '/extensions', postJson(extension))).toMatchObject({
      status: 412,
      body: '{"error":"invalid compute status: configuration"}',
    });
  }));

test('/extension_server takes any name and decodes it once', () =>
  withServer(internal, async ({ port, app }) => {
    const asked: unknown[] = [];
    app.downloadExtension = (name, isLibrary) => {
      asked.push([name, isLibrary]);
      return Promise.resolve();
    };
    const send = (path: string) => exchange(port, 'POST', `/extension_server/${path}`);
    expect(await send('anon')).toMatchObject({ status: 200, body: '' });
    expect((await send('postgis-3.so?is_library=true')).status).toBe(200);
    expect((await send('a/b%2Fc%2525?is_library=false&other=1')).status).toBe(200);
    expect(asked).toEqual([
      ['anon', false],
      ['postgis-3.so', true],
      ['a/b/c%25', false],
    ]);
    expect((await send('')).status).toBe(404);
    expect((await send('anon?is_library=1')).status).toBe(400);
    expect(await send('%ff')).toMatchObject({ status: 400, body: '{"error":"invalid utf-8 in `filename`"}' });
    expect((await exchange(port, 'GET', '/extension_server/anon')).headers.allow).toBe('POST');
    expect(asked).toHaveLength(3);
  }));

test('/refresh_configuration counts every call, refused ones too', () =>
  withServer(internal, async ({ port, app, metrics }) => {
    expect(await exchange(port, 'POST', '/refresh_configuration')).toMatchObject({ status: 200, body: '' });
    app.refresh = () => {
      throw new ComputeError('internal', 'Cannot refresh compute configuration in state Empty');
    };
    expect(await exchange(port, 'POST', '/refresh_configuration')).toMatchObject({
      status: 500,
      body: '{"error":"Cannot refresh compute configuration in state Empty"}',
    });
    expect(await metrics.render()).toContain('pg_cctl_pagestream_request_errors_total 2');
  }));

test('/failpoints is there where it was asked for, and refuses what it does not know', () =>
  withServer({ ...internal, routes: testRoutes }, async ({ port }) => {
    const set = (actions: string) =>
      exchange(port, 'POST', '/failpoints', postJson(JSON.stringify([{ name: 'compute-test', actions }])));
    expect(await set('50%return(x)->off')).toMatchObject({ status: 200, body: '' });
    expect(await set('explode')).toMatchObject({
      status: 400,
      body: '{"error":"failed to configure failpoints: \\"explode\\" is not known"}',
    });
    await set('off');
  }));
