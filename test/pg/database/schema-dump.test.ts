import { once, setMaxListeners } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLibpqUrl } from '../../../src/pg/connstr.ts';
import { SchemaDumps, type dumpLimits } from '../../../src/database/schema-dump.ts';
import { Secret } from '../../../src/core/secret.ts';
import { withPg } from '../../../src/pg/client.ts';
import { osUser } from '../../support/postgres-versions.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { makeCertificate } from '../../support/tls.ts';

const { signal } = new AbortController();
const lines: string[] = [];
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
let it: Cluster;
let home: string;

beforeAll(async () => {
  it = await startCluster({ conf: "lc_messages='C'" });
  home = scratchDir('dump');
});
afterAll(async () => {
  await it.stop();
  rmSync(home, { recursive: true, force: true });
});

const query = (text: string, database = 'postgres') =>
  withPg(it.target, { applicationName: 'test', connectMs: 5000, database, signal }, (pg) => pg.query(text));

const dumps = (
  bindir = it.postgres.bindir,
  change: object = {},
  limits: Partial<typeof dumpLimits> = {},
): SchemaDumps =>
  new SchemaDumps(
    {
      target: { ...it.target, ...change },
      bin: { path: '', dir: bindir, major: 15, version: '', sibling: (name) => join(bindir, name) },
      runAs: osUser,
      env: { PATH: process.env['PATH'], PGDATABASE: 'wrong', PGHOST: 'wrong' },
    },
    log,
    limits,
  );

/** A directory with a program in the place of pg_dump. */
function impostor(name: string, script: string): string {
  const dir = join(home, name);
  mkdirSync(dir);
  writeFileSync(join(dir, 'pg_dump'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, 'pg_dump'), 0o755);
  return dir;
}

test('a schema comes whole, also of a database whose name could mean something else', async () => {
  const name = `host=x "q" 'a' 😀`;
  await query(`create database "${name.replaceAll('"', '""')}"`);
  await query('create table "of my own" (a int)', name);
  const dump = await text(await dumps().dump(name, signal));
  expect(dump).toContain('CREATE TABLE public."of my own"');
  expect(dump).toContain('-- PostgreSQL database dump complete');
});

test('a role that is set for the database does not get in the way', async () => {
  await query('create role weak');
  await query('create database weakened');
  await query('alter database weakened set role weak');
  await query('create schema hidden; create table hidden.t()', 'weakened').catch(() => {});
  expect(await text(await dumps().dump('weakened', signal))).toContain('dump complete');
});

test('a database that is not there is not found, whatever language the server speaks', async () => {
  await expect(dumps().dump('none', signal)).rejects.toMatchObject({
    code: 'not_found',
    message: 'database does not exist',
  });
  const silent = impostor('silent', 'echo "FATAL:  Datenbank existiert nicht" >&2; exit 1');
  await expect(dumps(silent).dump('none', signal)).rejects.toMatchObject({ code: 'not_found' });
  await expect(dumps().dump('x'.repeat(64), signal)).rejects.toMatchObject({ code: 'not_found' });
});

test('a program that is missing or fails at once is an error, and its words are in the log', async () => {
  const failed = { code: 'internal', message: 'failed to execute pg_dump' };
  await expect(dumps(home).dump('postgres', signal)).rejects.toMatchObject(failed);
  const loud = impostor('loud', 'echo "no reason" >&2; exit 1');
  await expect(dumps(loud).dump('postgres', signal)).rejects.toMatchObject(failed);
  expect(lines.join('')).toContain('pg_dump: no reason');
});

test('a dump that breaks off is never taken for a whole one', async () => {
  for (const end of ['exit 1', 'kill -9 $$']) {
    const broken = impostor(`broken-${end.slice(0, 4)}`, `echo "-- begin"; sleep 0.2; ${end}`);
    const stream = await dumps(broken).dump('postgres', signal);
    await expect(text(stream)).rejects.toMatchObject({ message: 'failed to execute pg_dump' });
  }
});

test('much on stderr before the first line does not hold it up', async () => {
  const chatty = impostor('chatty', 'head -c 300000 /dev/zero | tr "\\0" "x" >&2; echo >&2; echo "-- done"');
  expect(await text(await dumps(chatty).dump('postgres', signal))).toBe('-- done\n');
});

test('of a hundred dumps asked for at once four run, sixteen wait, and the rest are turned away', async () => {
  const slow = impostor('slow', 'echo "-- begin"; exec sleep 60');
  const all = dumps(slow);
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal);
  const failures: unknown[] = [];
  const streams: Readable[] = [];
  const asked = Array.from({ length: 100 }, async () => {
    try {
      streams.push(await all.dump('postgres', leaving.signal));
    } catch (error) {
      failures.push(error);
    }
  });
  await eventually('those beyond', async () => (failures.length === 80 ? true : undefined));
  for (const failure of failures) expect(failure).toMatchObject({ code: 'busy' });
  await eventually('the first four', async () => (streams.length === 4 ? true : undefined));
  // One that is left makes room for one that waits, and no more than four run.
  streams[0]?.on('error', () => {}).destroy();
  await eventually('the fifth', async () => (streams.length === 5 ? true : undefined));
  for (const stream of streams) stream.on('error', () => {});
  leaving.abort();
  await Promise.all(asked);
  expect(failures).toHaveLength(95);
  for (const failure of failures.slice(80)) expect(failure).toMatchObject({ name: 'AbortError' });
  expect(
    await eventually('room', () => all.dump('postgres', AbortSignal.abort()).catch((e: unknown) => e)),
  ).toMatchObject({ name: 'AbortError' });
});

test('a client that leaves while its dump waits leaves its place to the next', async () => {
  const slow = impostor('slow2', 'echo "-- begin"; exec sleep 60');
  const all = dumps(slow, {}, { dumps: 1, waiting: 1 });
  const [one, two] = [new AbortController(), new AbortController()];
  const running = await all.dump('postgres', one.signal);
  const waiting = all.dump('postgres', two.signal);
  await expect(all.dump('postgres', signal)).rejects.toMatchObject({ code: 'busy' });
  two.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  const next = all.dump('postgres', two.signal).catch(() => all.dump('postgres', one.signal));
  running.on('error', () => {}).destroy();
  const last = await next;
  last.on('error', () => {}).destroy();
});

test('a reader that takes nothing of its dump does not keep its place for ever', async () => {
  const endless = impostor('endless2', 'exec cat /dev/zero');
  const all = dumps(endless, {}, { dumps: 1, waiting: 1, stalledMs: 200 });
  const stalled = await all.dump('postgres', signal);
  const [error] = (await once(stalled, 'error')) as [Error];
  expect(error.message).toBe('failed to execute pg_dump');
  const next = await all.dump('postgres', signal);
  next.on('error', () => {}).destroy();
});

test('a dump is taken no faster than it is read', async () => {
  const endless = impostor('endless', 'exec cat /dev/zero');
  const stream = await dumps(endless).dump('postgres', signal);
  const before = process.memoryUsage().rss;
  await once(stream, 'readable');
  stream.read();
  // Time in which /dev/zero would fill any memory.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
  stream.destroy();
});

test('a password of the connection string reaches pg_dump, and nobody else', async () => {
  const shows = impostor('shows', 'echo "$PGPASSWORD $PGDATABASE ${PGHOST-unset} $*"');
  const dump = await text(await dumps(shows, { password: new Secret('hunter2') }).dump('postgres', signal));
  expect(dump).toContain('hunter2 postgres unset --schema-only');
  expect(dump.slice(8)).not.toContain('hunter2');
  expect(lines.join('')).not.toContain('hunter2');
});

test('a dump is encrypted just as the connection string asks, and held to the same certificate', async () => {
  const [good, other] = ['localhost', 'elsewhere'].map((name) => makeCertificate(home, name));
  const conf = `ssl=on\nssl_cert_file='${good?.certFile}'\nssl_key_file='${good?.keyFile}'`;
  const secure = await startCluster({ conf });
  try {
    writeFileSync(join(secure.dataDir, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 trust\n');
    secure.postmaster.kill('SIGHUP');
    const dumped = (parameters: string): Promise<string> => {
      const { tls } = parseLibpqUrl(`host=localhost ${parameters}`);
      const where = { host: '127.0.0.1', port: secure.port };
      return dumps(undefined, { ...where, ...(tls && { tls }) })
        .dump('postgres', signal)
        .then(text, ({ message }: Error) => message);
    };
    const whole = expect.stringContaining('database dump complete') as string;
    await eventually('only TLS', async () => !(await dumped('')).includes('complete') || undefined);
    expect(await dumped('sslmode=require')).toEqual(whole);
    expect(await dumped(`sslmode=verify-full sslrootcert=${good?.certFile}`)).toEqual(whole);
    expect(await dumped(`sslmode=verify-full sslrootcert=${other?.certFile}`)).not.toEqual(whole);
  } finally {
    await secure.stop();
  }
});
