import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mintToken } from '../../src/client/index.ts';
import type { Rig } from '../support/compute.ts';
import { type HttpRig, httpRig } from '../support/http-rig.ts';
import { eventually } from '../support/program.ts';

let on: HttpRig;
let it: Rig;
beforeAll(async () => {
  on = await httpRig({});
  ({ it } = on);
});
afterAll(() => it.stop());

test('every route of the external server answers with its success on a real compute', async () => {
  const { external, ask } = on;
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
  const { external, internal, program, query } = on;
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
  const { external, internal, query } = on;
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
  const { external, internalPort, ask, bearer, posting } = on;
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
