import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Writability } from '../../../src/database/writability.ts';
import { errorResponse, readyForQuery } from '../../../src/wire/messages.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { withoutStandby } from '../../support/standby.ts';
import { recorder } from '../../unit/http/support.ts';
import { figure, never, run, session } from '../monitor/support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(() => run(cluster.target, 'drop table if exists public.health_check'));

const writability = (limitMs = 5000) => {
  const { log, lines } = recorder();
  return { writability: new Writability({ target: cluster.target, log, limitMs }), lines };
};

const rows = () =>
  session(cluster.target, async (pg) => {
    const { rows } = await pg.query<{ id: number; at: number }>(
      'select id, extract(epoch from updated_at)::float8 at from public.health_check',
    );
    return rows;
  });

test('the first call makes the table, and each call moves the time of its one row forward', async () => {
  const { writability: it } = writability();
  expect(await it.check(never)).toBe(true);
  const [first] = await rows();
  expect(await it.check(never)).toBe(true);
  const all = await rows();
  expect(all).toHaveLength(1);
  expect(all[0]?.id).toBe(1);
  expect(all[0]?.at).toBeGreaterThan(first?.at ?? Infinity);
});

test('callers at the same moment all succeed, also those of another process', async () => {
  const processes = Array.from({ length: 8 }, () => writability().writability);
  const startMs = performance.now();
  const calls = processes.flatMap((each) => [each.check(never), each.check(never)]);
  expect(await Promise.all(calls)).toEqual(Array(16).fill(true));
  figure('16 calls from 8 places at once, ms', performance.now() - startMs);
  expect(await rows()).toHaveLength(1);
});

test('tables as earlier versions made them are used as they are', async () => {
  await run(
    cluster.target,
    'create table public.health_check (id serial primary key, updated_at timestamptz default now())',
  );
  const { writability: it } = writability();
  expect(await it.check(never)).toBe(true);
  expect(await rows()).toHaveLength(1);
});

/** Between the check and the server: answers each INSERT as a server does whose disk is full. */
async function withFullDisk(use: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => (sockets.add(socket), socket.on('error', () => {}));
  const relay = createServer((client) => {
    const upstream = keep(connect(cluster.port, '127.0.0.1'));
    upstream.pipe(keep(client));
    client.on('data', (bytes: Buffer) => {
      if (!bytes.includes('insert into')) upstream.write(bytes);
      else client.write(Buffer.concat([errorResponse('53100', 'no space left on device'), readyForQuery()]));
    });
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  try {
    await use((relay.address() as AddressInfo).port);
  } finally {
    relay.close();
    for (const socket of sockets) socket.destroy();
  }
}

test('a full disk is a success with a warning', () =>
  withFullDisk(async (port) => {
    const { log, lines } = recorder();
    const it = new Writability({ target: { ...cluster.target, port }, log, limitMs: 5000 });
    expect(await it.check(never)).toBe(true);
    expect(lines.join('')).toContain('no space left on device');
  }));

test('a table that somebody else has made is left alone', async () => {
  await run(
    cluster.target,
    'drop role if exists mallory',
    'create role mallory login',
    'create table public.health_check (id int primary key, updated_at timestamptz)',
    'alter table public.health_check owner to mallory',
  );
  const { writability: it } = writability();
  await expect(it.check(never)).rejects.toThrow(
    'could not check writability: table public.health_check belongs to "mallory", not to "cloud_admin"',
  );
  expect(await rows()).toEqual([]);
});

test('a view in its place is left alone', async () => {
  await run(cluster.target, 'create view public.health_check as select 1 id, now() updated_at');
  const { writability: it } = writability();
  await expect(it.check(never)).rejects.toThrow('could not check writability');
  await run(cluster.target, 'drop view public.health_check');
});

test('a lock that a user holds is an error that names the session, long before the limit', async () => {
  const { writability: it } = writability(8000);
  expect(await it.check(never)).toBe(true);
  await session(cluster.target, async (pg) => {
    const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
    const named = `could not check writability: an object is locked by process ${rows[0]?.pid} of role "cloud_admin"`;
    for (const lock of [
      'lock table public.health_check in access exclusive mode',
      'alter schema public rename to private',
      'create table public.other (a int); alter table public.health_check rename to away',
      'alter schema public owner to current_user; grant usage on schema public to public',
      'drop table public.health_check; create table public.health_check ()',
      'lock table pg_catalog.pg_namespace in exclusive mode',
    ]) {
      await pg.query(`begin; ${lock}`);
      const startMs = performance.now();
      await expect(it.check(never)).rejects.toThrow(named);
      expect(performance.now() - startMs).toBeLessThan(7000);
      figure(`locked by "${lock}", limit 8000 ms, answered after ms`, performance.now() - startMs);
      await pg.query('rollback');
    }
  });
  expect(await it.check(never)).toBe(true);
});

test('a table of the same name that a user is just creating is a lock that is named as well', async () => {
  const { writability: it } = writability(8000);
  await session(cluster.target, async (pg) => {
    const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pg.query('begin; create table public.health_check (a int)');
    await expect(it.check(never)).rejects.toThrow(`an object is locked by process ${rows[0]?.pid}`);
    await pg.query('rollback');
  });
  expect(await it.check(never)).toBe(true);
});

test('a write that hangs is an error within the limit, and those behind it are not held up for longer', async () => {
  await withoutStandby(cluster.target, async () => {
    const { writability: it } = writability(800);
    const startMs = performance.now();
    const results = await Promise.allSettled([it.check(never), it.check(never), it.check(never)]);
    figure('a write that hangs, limit 800 ms, answered after ms', performance.now() - startMs);
    expect(performance.now() - startMs).toBeLessThan(5000);
    for (const result of results) {
      expect(result.status).toBe('rejected');
      expect(String((result as PromiseRejectedResult).reason)).toContain('took longer than 800 ms');
    }
  });
});

test('a commit that waits for a replica that is not there is no success', async () => {
  await withoutStandby(cluster.target, async () => {
    const { writability: it } = writability(800);
    await expect(it.check(never)).rejects.toMatchObject({ code: 'sql' });
  });
});

test('a server that takes no writes, and one that is not there, say so', async () => {
  const { log } = recorder();
  const readOnly = { ...cluster.target, options: '-c default_transaction_read_only=on' };
  const it = new Writability({ target: readOnly, log });
  await expect(it.check(never)).rejects.toThrow('read-only transaction');
  const nowhere = new Writability({ target: { ...cluster.target, port: 1 }, log });
  await expect(nowhere.check(never)).rejects.toThrow(
    'could not connect to postgresql://cloud_admin@127.0.0.1:1',
  );
});
