import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectPg } from '../../src/pg/client.ts';
import { scratchDir } from '../support/scratch.ts';
import { type Rig, rig } from '../support/compute.ts';
import {
  type FakeLocalProxy,
  type Pgbouncer,
  fakeLocalProxy,
  pgbouncerFor,
  pgbouncerPath,
} from '../support/helpers.ts';
import { onPath } from '../support/on-path.ts';
import { osUser } from '../support/postgres-versions.ts';

const never = new AbortController().signal;
const uid = osUser?.uid;
const jwks = [
  { id: 'a', role_names: ['web'], jwks_url: 'https://k', provider_name: 'p', jwt_audience: null },
];

let it: Rig;
let home: string;
let pooler: Pgbouncer;
let proxy: FakeLocalProxy | null;
beforeEach(async () => {
  it = await rig();
  home = scratchDir('helpers');
  pooler = await pgbouncerFor(home, it.port, '', uid);
  proxy = null;
});
afterEach(async () => {
  pooler.stop();
  proxy?.stop();
  await it.stop();
  rmSync(home, { recursive: true, force: true });
});

const paths = () => ({ pidFile: join(home, 'pid'), config: join(home, 'config.json') });
const args = (): string[] => [
  ...['--pgbouncer-ini', pooler.ini, '--pgbouncer-port', String(pooler.port)],
  ...['--pgbouncer-host', '127.0.0.1', '--pgbouncer-pid-file', pooler.pidFile],
  ...['--local-proxy-config', paths().config, '--local-proxy-pid-file', paths().pidFile],
];
const ini = (): string => readFileSync(pooler.ini, 'utf8');
const health = async (): Promise<Record<string, unknown>> =>
  (await it.http('GET', '/status')).json<{ services: Record<string, unknown> }>().services;

describe.skipIf(pgbouncerPath === undefined || !onPath('python3'))('with pgbouncer and local_proxy', () => {
  test.each(['/terminate', 'SIGTERM', 'SIGTERM with --dev', 'a crash'])(
    'their settings follow each spec, and %s ends them',
    async (how) => {
      const image = ini();
      await pooler.start();
      proxy = await fakeLocalProxy(paths(), { uid });
      const changes = { pgbouncer_settings: { default_pool_size: '7' }, local_proxy_config: { jwks } };
      const dev = how.endsWith('--dev');
      const program = it.start({ spec: it.spec(changes), args: [...args(), ...(dev ? ['--dev'] : [])] });
      await it.until('running');
      await expect.poll(health).toMatchObject({ pgbouncer: { state: 'ok' }, 'local-proxy': { state: 'ok' } });
      await expect.poll(() => pooler.setting('default_pool_size')).toBe('7');
      await expect.poll(() => proxy?.read().at(-1)).toContain('"web"');
      const target = {
        host: '127.0.0.1',
        port: pooler.port,
        user: 'app',
        password: null,
        database: 'postgres',
      };
      const client = await connectPg(
        { ...target, options: '' },
        { applicationName: '', connectMs: 20_000, signal: never },
      );
      const configure = async (more: object): Promise<void> =>
        expect((await it.http('POST', '/configure', it.config(it.spec(more)))).status).toBe(200);
      await configure({ pgbouncer_settings: { default_pool_size: '9' } });
      await expect.poll(() => pooler.setting('default_pool_size')).toBe('9');
      await expect.poll(() => proxy?.read().at(-1)).toBe('{}');
      await configure({});
      await expect.poll(ini).toBe(image);
      expect(await health()).not.toHaveProperty('pgbouncer');
      await configure(changes);
      await expect.poll(() => pooler.setting('default_pool_size')).toBe('7');
      expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
      if (how === '/terminate') void it.http('POST', '/terminate?mode=immediate').catch(() => {});
      else if (how === 'a crash')
        process.kill(
          Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]),
          'SIGKILL',
        );
      else program.kill('SIGTERM');
      await program.exited(60_000);
      await expect.poll(() => [pooler.runs(), !proxy!.exited()]).toEqual([dev, dev]);
      expect([ini() !== image, existsSync(paths().config)]).toEqual([dev, dev]);
    },
  );
});

test('neither of them is there: the start is not later, and /status says what is missing', async () => {
  rmSync(home, { recursive: true });
  const spec = it.spec({ pgbouncer_settings: { default_pool_size: '7' }, local_proxy_config: { jwks } });
  it.start({ spec, args: args() });
  await it.until('running');
  expect(await health()).toMatchObject({
    pgbouncer: { state: 'failed', error: expect.stringContaining('pgbouncer.ini') as string },
    'local-proxy': { state: 'failed', error: expect.stringContaining('config.json') as string },
  });
});
