import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { type Rig, rig } from '../support/compute.ts';
import { type Fault, type FileServer, startFileServer } from '../support/file-server.ts';
import { type Program, eventually } from '../support/program.ts';
import { query } from '../support/query.ts';
import { type OwnInstallation, movable, ownInstallation } from '../support/own-installation.ts';

interface Given {
  readonly it: Rig;
  readonly installation: OwnInstallation;
  readonly gateway: FileServer;
  /** With this extension to be had from the gateway. */
  readonly spec: (settings?: object[]) => object;
  /** Starts the compute with it.
   *  @param offered false: without the extension */
  readonly start: (settings?: object[], how?: { offered?: boolean; env?: NodeJS.ProcessEnv }) => Program;
}

let given: Given | null = null;
afterEach(async () => {
  await given?.it.stop();
  given?.installation.remove();
  given = null;
});

async function withRemote(
  extension: string,
  faults: readonly Fault[] = [],
  postgres = movable().at(-1),
): Promise<Given> {
  if (postgres === undefined) throw new Error('no PostgreSQL can be copied');
  const installation = ownInstallation(postgres);
  const { archive, control } = await installation.takeOut(extension);
  const gateway = await startFileServer(archive, faults);
  onTestFinished(() => gateway.stop());
  const it = await rig(installation.postgres);
  const spec = (settings: object[] = [], offered = true): object => {
    const remote_extensions = {
      public_extensions: [extension],
      custom_extensions: null,
      library_index: { [extension]: extension },
      extension_data: {
        [extension]: { control_data: { [`${extension}.control`]: control }, archive_path: '' },
      },
    };
    const made = it.spec(offered ? { remote_extensions } : {});
    const cluster = made['cluster'] as { settings: object[]; databases: object[] };
    cluster.settings.push(...settings);
    cluster.databases.push({ name: 'shop', owner: 'cloud_admin', options: null });
    return made;
  };
  const start: Given['start'] = (settings = [], { offered = true, env = {} } = {}) => {
    const base = env['HTTP_PROXY'] === undefined ? new URL(gateway.url).origin : 'http://gateway.invalid';
    return it.start({ spec: spec(settings, offered), args: ['-r', base], env });
  };
  given = { it, installation, gateway, spec, start };
  return given;
}

const preload = {
  name: 'shared_preload_libraries',
  value: 'neon,pg_stat_statements',
  vartype: 'string',
};

test.each(movable())(
  'on PostgreSQL $major a library that Postgres must load is downloaded before it starts',
  async (postgres) => {
    const { it, gateway, start } = await withRemote('pg_stat_statements', [], postgres);
    // This PostgreSQL has no library `neon`.
    start([{ ...preload, value: 'pg_stat_statements' }]);
    await it.until('running');
    expect(await query(it, 'select count(*) > 0 as works from pg_stat_statements')).toEqual([
      { works: true },
    ]);
    expect(gateway.requests).toHaveLength(1);
    const figures = (await it.http('GET', '/metrics.json')).json<Record<string, number>>();
    expect(figures).toMatchObject({ num_ext_downloaded: 1 });
    expect(figures['total_ext_download_size']).toBeGreaterThan(1000);
    expect(figures['largest_ext_size']).toBe(figures['total_ext_download_size']);
  },
);

test('an extension is known before it is downloaded, and comes when somebody asks for it, once for all', async () => {
  const { it, gateway, start, installation } = await withRemote('hstore');
  start();
  await it.until('running');
  const known = "select name from pg_available_extensions where name = 'hstore'";
  expect(await query(it, known)).toEqual([{ name: 'hstore' }]);
  expect(existsSync(join(installation.lib, 'hstore.so'))).toBe(false);
  const asked = await Promise.all(
    ['hstore?is_library=false', 'hstore.so?is_library=true', 'hstore'].map((name) =>
      it.internal('POST', `/extension_server/${name}`),
    ),
  );
  expect(asked.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(gateway.requests).toHaveLength(1);
  await query(it, 'create extension hstore');
  expect(await it.internal('POST', '/extension_server/postgis')).toMatchObject({ status: 404 });
});

test('an extension comes through the proxy of the environment, of which Postgres knows nothing', async () => {
  const { it, gateway, start } = await withRemote('hstore');
  start([], { env: { HTTP_PROXY: new URL(gateway.url).origin } });
  await it.until('running');
  expect(await it.internal('POST', '/extension_server/hstore')).toMatchObject({ status: 200 });
  expect(gateway.requests[0]?.url).toMatch(/^http:\/\/gateway\.invalid\/.*\/hstore\.tar\.zst$/);
});

test('a stop while a library is downloaded leaves nothing of it', async () => {
  const { it, start, installation } = await withRemote('pg_stat_statements', ['endless']);
  const program = start([{ ...preload, value: 'pg_stat_statements' }]);
  const work = join(installation.postgres.bindir, '../download_extensions');
  await eventually('the download', () => (readdirSync(work).length > 0 ? true : undefined));
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(readdirSync(work)).toEqual([]);
  expect(it.log()).not.toContain('ERROR');
});

test('POST /extensions downloads what it installs', async () => {
  const { it, gateway, start } = await withRemote('hstore');
  start();
  await it.until('running');
  const [{ version }] = (await query(
    it,
    "select default_version as version from pg_available_extensions where name = 'hstore'",
  )) as [{ version: string }];
  const answer = await it.internal('POST', '/extensions', { extension: 'hstore', database: 'shop', version });
  expect(answer).toMatchObject({ status: 201 });
  expect(gateway.requests).toHaveLength(1);
  expect(await query(it, "select 'a=>1'::hstore->'a' as a", 'shop')).toEqual([{ a: '1' }]);
});

test('a gateway that has not got a library does not hold up the start; the status and the last words say what is missing', async () => {
  const { it, start } = await withRemote('pg_stat_statements', [404]);
  start([{ ...preload, value: 'pg_stat_statements' }]);
  const status = await it.until('failed');
  expect(it.log()).toContain('a library that Postgres must load is missing');
  expect(JSON.stringify(status['services'])).toContain('404 Not Found');
  expect(String(status['error'])).toContain('pg_stat_statements');
});

test('a gateway that fails and breaks off in the middle is asked again, and the compute starts', async () => {
  const faults: Fault[] = [503, { cutAfter: 1000 }];
  const { it, gateway, start } = await withRemote('pg_stat_statements', faults);
  start([{ ...preload, value: 'pg_stat_statements' }]);
  await it.until('running');
  expect(gateway.requests).toHaveLength(3);
  expect((await it.http('GET', '/metrics')).body).toContain(
    'compute_ctl_remote_ext_requests_total{filename="pg_stat_statements.tar.zst",http_status="503 Service Unavailable"} 1',
  );
});

test('a download that is asked for and fails is in the status until it works', async () => {
  const { it, start } = await withRemote('hstore', [503, 404]);
  const shown = async (): Promise<unknown> =>
    (await it.http('GET', '/status')).json<{ services: Record<string, unknown> }>().services[
      'remote-extensions'
    ];
  start();
  await it.until('running');
  expect(await shown()).toMatchObject({ state: 'ok' });
  expect((await it.internal('POST', '/extension_server/hstore')).status).not.toBe(200);
  const error = expect.stringMatching(/could not download the extension hstore: .*404 Not Found/) as string;
  expect(await shown()).toMatchObject({ state: 'degraded', error });
  expect((await it.internal('POST', '/extension_server/hstore')).status).toBe(200);
  expect(await shown()).toMatchObject({ state: 'ok', error: null });
});

test('a new spec does not wait for a library that only the next start loads', async () => {
  const { it, gateway, start } = await withRemote('pg_prewarm', [{ stopsAfter: 1 }]);
  start([], { offered: false });
  await it.until('running');
  const spec = given!.spec([{ ...preload, value: 'pg_prewarm' }]);
  expect((await it.http('POST', '/configure', it.config(spec))).json()).toMatchObject({ status: 'running' });
  expect(gateway.requests).toHaveLength(0);
  const known = "select name from pg_available_extensions where name = 'pg_prewarm'";
  expect(await query(it, known)).toHaveLength(1);
});
