import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Rig } from '../support/compute.ts';
import { type HttpRig, httpRig } from '../support/http-rig.ts';
import { eventually } from '../support/program.ts';

let on: HttpRig;
let it: Rig;
beforeAll(async () => {
  on = await httpRig();
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
  await query('create database app');
  const wanted = { extension: 'plpgsql', database: 'app', version: newest?.v ?? '' };
  expect(await internal.installExtension(wanted)).toEqual({ extension: 'plpgsql', version: newest?.v });
  await query('create role reader');
  const grant = { database: 'app', schema: 'public', privileges: ['CREATE' as const], role: 'reader' };
  expect(await internal.grant(grant)).toEqual(grant);
  const dump = await new Response(await external.databaseSchema('app')).text();
  expect(dump).toContain('GRANT CREATE ON SCHEMA public TO reader;');
  await internal.refreshConfiguration();
  await eventually('the refresh', async () =>
    (await external.status()).status === 'running' ? true : undefined,
  );
  expect(program.stderr()).toContain('the configuration has not changed');
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
