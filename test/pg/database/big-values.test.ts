import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { maxHashBytes, maxListed, readDbsAndRoles } from '../../../src/database/dbs-and-roles.ts';
import { collectInsights, maxQueryCharacters } from '../../../src/database/insights.ts';
import { type PgClient, connectPg, destroyPg, sqlState, withPg } from '../../../src/pg/client.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { makeCertificate } from '../../support/tls.ts';
import { figure, never, run, watched, brisk, checked } from '../monitor/support.ts';

const lines: string[] = [];
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    conf: "shared_preload_libraries='pg_stat_statements'\npg_stat_statements.track=all\nlog_min_error_statement=panic\nlog_min_messages=fatal\ntrack_activity_query_size=1MB\nmax_connections=100",
  });
  await run(cluster.target, 'create role app login createrole');
}, 240_000);
afterAll(() => cluster.stop());

/** The most megabytes that this process had more than before, while `work` ran. */
async function peakMb<T>(what: string, work: () => Promise<T>): Promise<{ result: T; mb: number }> {
  const before = process.memoryUsage.rss();
  let highest = before;
  const look = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 5);
  try {
    const result = await work();
    highest = Math.max(highest, process.memoryUsage.rss());
    const mb = (highest - before) / 1_000_000;
    figure(`${what}: more memory at the peak, MB`, mb);
    return { result, mb };
  } finally {
    clearInterval(look);
  }
}

/** With time for what takes long on a busy machine. */
const asked = <T extends object>(text: string, target = cluster.target) =>
  withPg(
    target,
    { applicationName: 'test', connectMs: 10_000, queryMs: 110_000, signal: never },
    async (pg) => (await pg.query<T>(text)).rows,
  );
const refused = (text: string): Promise<Error> =>
  asked(text).then(
    () => new Error('it succeeded'),
    (error: unknown) => error as Error,
  );

test('a value of 600 MB closes its connection with an error, and is not collected', async () => {
  const { result, mb } = await peakMb('a value of 600 MB', () =>
    refused(`select repeat('x', 600 * 1024 * 1024) as v`),
  );
  expect(result).toMatchObject({ code: 'sql' });
  expect(result.message).toMatch(
    /^the server sent a message of 6291456\d\d bytes, more than the limit of 67108864 bytes$/,
  );
  expect(mb).toBeLessThan(150);
  expect(await asked('select 1 as one')).toEqual([{ one: 1 }]);
});

test('a value of 600 MB over TLS or a socket file is refused as well', async () => {
  const query = `select repeat('x', 600 * 1000 * 1000) as v`;
  const local = { ...cluster.target, host: join(cluster.dataDir, '../run') };
  await expect(asked(query, local)).rejects.toThrow('more than the limit of 67108864 bytes');
  const home = scratchDir('tls');
  const { keyFile, certFile } = makeCertificate(home, 'localhost');
  const secure = await startCluster({
    conf: `ssl=on\nssl_cert_file='${certFile}'\nssl_key_file='${keyFile}'`,
  });
  try {
    const tls = { mode: 'require', serverName: 'localhost', rootCert: null } as const;
    const [row] = await asked<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()', {
      ...secure.target,
      tls,
    });
    expect(row?.ssl).toBe(true);
    await expect(asked(query, { ...secure.target, tls })).rejects.toThrow(
      'more than the limit of 67108864 bytes',
    );
  } finally {
    await secure.stop();
    rmSync(home, { recursive: true, force: true });
  }
}, 240_000);

test('values of 60 MB, row after row, are refused before they fill the memory', async () => {
  const { result, mb } = await peakMb('20 values of 60 MB', () =>
    refused(`select repeat('x', 60 * 1000 * 1000) as v from generate_series(1, 20)`),
  );
  expect(result.message).toContain("the server's answer takes more than the limit");
  expect(mb).toBeLessThan(700);
});

test('an error of 600 MB, and one of 60 MB, are errors with a short text', async () => {
  const raise = (size: string): string => `do $$ begin raise exception '%', repeat('x', ${size}); end $$`;
  const huge = await refused(raise('600 * 1000 * 1000'));
  expect(huge.message).toContain('more than the limit of 67108864 bytes');
  const large = await refused(raise('60 * 1000 * 1000'));
  expect(sqlState(large)).toBe('P0001');
  expect(large.message.length).toBeLessThan(5000);
});

test('three million rows are refused, and the connection is closed', async () => {
  const { result, mb } = await peakMb('three million rows', () =>
    refused('select generate_series(1, 3000000) as n'),
  );
  expect(result.message).toContain("the server's answer takes more than the limit");
  expect(mb).toBeLessThan(700);
});

test('/insights with 100 statements of 6 MB shows each of them, cut', async () => {
  await run(cluster.target, 'create extension pg_stat_statements schema public');
  await asked(
    `do $$ begin for i in 1..100 loop
      execute 'select ' || repeat('1, ', i) || '1 /* ' || repeat('"', 6000000) || ' */';
    end loop; end $$`,
    { ...cluster.target, user: 'app' },
  );
  const { result, mb } = await peakMb('/insights', () => collectInsights(cluster.target, log, never));
  figure('/insights with 100 statements of 6 MB, bytes', result.length);
  const { pg_stat_statements: rows } = JSON.parse(result) as {
    pg_stat_statements: { query: string; calls: number }[];
  };
  expect(rows).toHaveLength(100);
  const long = rows.filter(({ query }) => query.startsWith('select $1, $2'));
  expect(long.length).toBeGreaterThan(90);
  for (const { query, calls } of long) {
    expect(query.length).toBe(maxQueryCharacters);
    expect(calls).toBe(1);
  }
  expect(mb).toBeLessThan(400);
}, 240_000);

test('/dbs_and_roles with verifiers of 96 MB, which the roles set themselves, shows them as none and says so', async () => {
  const verifier = `'SCRAM-SHA-256$4096:' || repeat('QUFB', 24000000) || '$' || repeat('A', 43) || '=:' || repeat('A', 43) || '='`;
  for (const name of ['heavy1', 'heavy2']) {
    await run(cluster.target, `create role ${name} login`);
    await asked(`do $$ begin execute format('alter role ${name} password %L', ${verifier}); end $$`, {
      ...cluster.target,
      user: name,
    });
  }
  await run(cluster.target, `create role usual password 'x'`);
  const [stored] = await asked<{ bytes: number }>(
    `select octet_length(rolpassword) as bytes from pg_authid where rolname = 'heavy2'`,
  );
  expect(stored?.bytes).toBeGreaterThan(96_000_000);
  const { result, mb } = await peakMb('/dbs_and_roles', () => readDbsAndRoles(cluster.target, log, never));
  const hashOf = (name: string) => result.roles.find((role) => role.name === name)?.encrypted_password;
  expect(hashOf('heavy1')).toBeNull();
  expect(hashOf('usual')).toMatch(/^SCRAM-SHA-256\$/);
  expect(lines.join('')).toContain(
    `2 roles have a password hash of more than ${maxHashBytes} bytes: shown as none`,
  );
  expect(mb).toBeLessThan(200);
}, 240_000);

/** Together more than a message may have. */
const talkative = 70;

test('the monitor goes on while sessions have all the text that they can', async () => {
  const sessions: PgClient[] = [];
  try {
    for (let count = 0; count < talkative; count++) {
      const pg = await connectPg(cluster.target, {
        applicationName: 'test',
        connectMs: 10_000,
        queryMs: 60_000,
        signal: never,
      });
      sessions.push(pg);
      await pg.query(`select 1 /* ${'x'.repeat(1_048_000)} */`);
    }
    await sessions[0]?.query(
      `set client_min_messages = error; do $$ begin perform set_config('application_name', repeat('x', 100000000), false); end $$`,
    );
    await watched(
      cluster.target,
      { times: { ...brisk, queryMs: 10_000, connectMs: 10_000 } },
      async ({ monitor, metrics }) => {
        await checked(metrics, 3);
        expect(monitor.up).toBe(true);
      },
    );
  } finally {
    sessions.forEach(destroyPg);
  }
}, 240_000);

test('/dbs_and_roles of more roles than can be listed is an error, and of nearly as many it is whole', async () => {
  const many = (from: number, to: number): Promise<object[]> =>
    asked(
      `set allow_system_table_mods = on;
      insert into pg_authid select (json_populate_record(a, json_build_object('oid', 1000000 + i, 'rolname', 'many' || i))).*
        from pg_authid a, generate_series(${from}, ${to}) i where a.rolname = 'app'`,
    );
  await many(1, 90_000);
  const { result, mb } = await peakMb('/dbs_and_roles with 90,000 roles', () =>
    readDbsAndRoles(cluster.target, log, never),
  );
  expect(result.roles.length).toBeGreaterThan(90_000);
  expect(mb).toBeLessThan(500);
  await many(90_001, 150_000);
  await expect(readDbsAndRoles(cluster.target, log, never)).rejects.toThrow(
    `reading databases and roles failed: there are more than ${maxListed} roles`,
  );
}, 240_000);
