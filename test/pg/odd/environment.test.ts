import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { SchemaDumps } from '../../../src/database/schema-dump.ts';
import { environmentForOwnPrograms, environmentForPsql } from '../../../src/local/environment.ts';
import { probe } from '../../../src/monitor/probe.ts';
import { type ConnectOptions, withPg } from '../../../src/pg/client.ts';
import { environmentForPrograms } from '../../../src/process/environment.ts';
import { type WireServer, serveWire } from '../../../src/wire/server.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { hostileEnvironment } from '../../support/hostile-environment.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { never } from '../catalog/support.ts';

const packages = fileURLToPath(new URL('../../../node_modules', import.meta.url));
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(() => {
  for (const [name, value] of Object.entries(hostileEnvironment)) vi.stubEnv(name, value);
});
afterEach(() => vi.unstubAllEnvs());

const options = (): ConnectOptions => ({
  applicationName: 'mine',
  connectMs: 10_000,
  queryMs: 10_000,
  signal: never,
});

/** What a server gets when `ask` logs in. */
async function startupOf(ask: (server: WireServer, port: number) => Promise<unknown>): Promise<object[]> {
  const seen: object[] = [];
  const server = serveWire({
    async onQuery(session) {
      seen.push(Object.fromEntries(session.parameters));
      await session.rows(['one'], [['1']], 'SELECT 1');
    },
  });
  const { port } = await server.listen(0, '127.0.0.1');
  try {
    await ask(server, port);
  } finally {
    await server.close(AbortSignal.abort());
  }
  return seen;
}

test('each variable that the driver reads is among those of these tests', () => {
  const sources = [
    'pg',
    'pg-protocol',
    'pg-copy-streams',
    'pg-types',
    'pgpass',
    'pg-connection-string',
  ].flatMap((name) =>
    (readdirSync(join(packages, name), { recursive: true }) as string[])
      .filter((file) => /\.[cm]?js$/.test(file) && !/(^|\/)(test|bench|node_modules)/.test(file))
      .map((file) => readFileSync(join(packages, name, file), 'utf8')),
  );
  const source = sources.join('\n');
  // Of connection-parameters.js, where the name is made of the parameter's.
  const made = [...source.matchAll(/\bval\('(\w+)', config\)/g)].map(
    ([, name]) => `PG${name?.toUpperCase()}`,
  );
  const named = [...source.matchAll(/\b(?:PG|NODE_PG_)[A-Z][A-Z_]+\b/g)].map(([name]) => name);
  const others = [...source.matchAll(/process\.env\.(\w+)/g)].map(([, name]) => name as string);
  expect(made).toContain('PGREPLICATION');
  const read = new Set([...made, ...named, ...others]);
  // The user of the driver's defaults, which gives way to ours; what is read on another system; a socket's name.
  for (const harmless of ['USER', 'USERNAME', 'APPDATA', 'PGSQL']) read.delete(harmless);
  expect([...read].filter((name) => !(name in hostileEnvironment))).toEqual([]);
});

test.each(['-c a=b', ''])(
  'no variable changes what a connection of ours asks for, with the options "%s"',
  async (given) => {
    const target = { host: '127.0.0.1', user: 'u', password: null, database: 'd', options: given };
    const expected = {
      user: 'u',
      database: 'd',
      client_encoding: 'UTF8',
      application_name: 'mine',
      ...(given === '' ? {} : { options: given }),
    };
    const seen = await startupOf((_, port) => withPg({ ...target, port }, options(), (pg) => pg.query('x')));
    expect(seen).toEqual([expected]);
  },
);

test('nor what the probe of the monitor asks for', async () => {
  const limitsMs = { connect: 10_000, query: 10_000 };
  const target = { host: '127.0.0.1', user: 'u', password: null, database: 'd', options: '' };
  const seen = await startupOf((_, port) =>
    probe({ ...target, port }, { applicationName: 'mine', limitsMs, onPhase: () => {}, signal: never }),
  );
  expect(seen).toEqual([{ user: 'u', database: 'd', application_name: 'mine', client_encoding: 'UTF8' }]);
});

test('a session on a real server, and pg_dump, are as without them', async () => {
  const settings = `select current_setting('application_name') as app, current_setting('DateStyle') as style,
    current_setting('TimeZone') as zone, current_setting('client_encoding') as encoding,
    current_setting('default_transaction_read_only') as readonly, current_user::text as user`;
  const read = (): Promise<unknown> =>
    withPg(cluster.target, options(), async (pg) => (await pg.query(settings)).rows);
  const hostile = await read();
  vi.unstubAllEnvs();
  expect(hostile).toEqual(await read());
  const { bindir, major } = cluster.postgres;
  const bin = { path: '', dir: bindir, major, version: '', sibling: (name: string) => join(bindir, name) };
  const dump = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const dumps = new SchemaDumps({ target: cluster.target, bin, env }, pino({ level: 'silent' }));
    return (await text(await dumps.dump('postgres', never))).replaceAll(/^\\(un)?restrict .*$/gm, '');
  };
  const env = { PATH: process.env['PATH'] };
  expect(await dump(environmentForPrograms({ ...env, ...hostileEnvironment }))).toBe(await dump(env));
});

test('no program that is started gets a variable of libpq', () => {
  // Of every program and of libpq, of every version: texts in them that may be the name of a variable.
  const found = new Set(Object.keys(hostileEnvironment));
  for (const { bindir } of installedPostgres()) {
    const files = ['postgres', 'initdb', 'pg_dump', 'psql'].map((name) => join(bindir, name));
    for (const file of files) {
      const content = readFileSync(file, 'latin1');
      for (const [, name] of content.matchAll(/\0(PG[A-Z_]{2,30})(?=\0)/g)) found.add(name as string);
    }
  }
  expect(found.size).toBeGreaterThan(45);
  const set = Object.fromEntries([...found].map((name) => [name, 'x']));
  // The server reads these two itself, before it listens.
  const oom = ['PG_OOM_ADJUST_FILE', 'PG_OOM_ADJUST_VALUE'];
  expect(Object.keys(environmentForPrograms(set)).filter((name) => !oom.includes(name))).toEqual([]);
  expect(Object.keys(environmentForOwnPrograms(set)).filter((name) => !oom.includes(name))).toEqual([]);
  const shown = [...oom, 'PG_COLOR', 'PG_COLORS'];
  expect(Object.keys(environmentForPsql(set)).filter((name) => !shown.includes(name))).toEqual([]);
});

test("compute-local's programs get what they read themselves, and psql what it needs in a terminal", () => {
  const env = {
    PATH: '/bin',
    RUST_LOG: 'debug',
    OTEL_X: '1',
    https_proxy: 'p',
    AWS_SECRET_ACCESS_KEY: 's',
    PAGER: 'less',
  };
  expect(environmentForOwnPrograms(env)).toEqual({
    PATH: '/bin',
    RUST_LOG: 'debug',
    OTEL_X: '1',
    https_proxy: 'p',
  });
  expect(environmentForPsql(env)).toEqual({ PATH: '/bin', PAGER: 'less' });
});
