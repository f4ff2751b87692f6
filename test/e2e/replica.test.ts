import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type PgClient, connectPg, destroyPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { formatLsn } from '../../src/core/lsn.ts';
import { forkPoint } from '../../src/local/storage/fork.ts';
import { storedBases, timelineDir } from '../../src/local/storage/layout.ts';
import { type LocalRig, rigPerTest, queryLocal as query, targetOf } from '../support/local.ts';
import { eventually } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';
import { makePemPair, writePair } from '../support/tls-pairs.ts';

const it = rigPerTest();

type Started = Awaited<ReturnType<LocalRig['upAndReady']>>;

const options = {
  applicationName: 'test',
  connectMs: 2000,
  queryMs: 20_000,
  signal: new AbortController().signal,
};

const main = async (): Promise<PgTarget> => targetOf((await it.command('url')).stdout.trim());

const superuser = (to: PgTarget, run: string): PgTarget => ({
  ...to,
  host: run,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
});

/** Where the WAL of the main compute ends, without anything that is still to come. */
const endOf = async (to: PgTarget): Promise<string> =>
  String(
    (await query(superuser(to, join(it.dir, 'run')), 'select pg_current_wal_flush_lsn()::text as lsn'))[0]?.[
      'lsn'
    ],
  );

test('a view of the past shows the data as of its LSN, writes nothing, and survives a restart', async () => {
  await it.upAndReady();
  const primary = await main();
  await query(primary, 'create table t as select generate_series(1, 1000) as n');
  const lsn = await endOf(primary);
  await query(primary, 'insert into t select generate_series(1001, 1500)');
  const { to, program } = await it.upAndReady(['--at-lsn', lsn]);
  const count = 'select count(*)::int as n from t';
  expect(await query(to, count)).toEqual([{ n: 1000 }]);
  await expect(query(to, 'insert into t values (1)')).rejects.toThrow('read-only');
  await query(primary, 'insert into t values (0)');
  program.kill('SIGINT');
  expect(await program.exited()).toBe(0);
  expect(await query((await it.upAndReady(['--at-lsn', lsn])).to, count)).toEqual([{ n: 1000 }]);
  expect(await query(primary, count)).toEqual([{ n: 1501 }]);
});

test('a view at an LSN that is not stored any more says so and ends', async () => {
  await it.upAndReady();
  const program = it.up(['--at-lsn', '0/10']);
  expect(await program.exited(60_000)).toBe(1);
  expect(program.output()).toContain('older than the base backup');
});

test('a replica needs a storage that runs', async () => {
  const { code, stderr } = await it.command('up', '--replica');
  expect(code).toBe(1);
  expect(stderr).toContain('no local compute');
});

test('a replica follows a primary that has woken with larger limits than it had, both with the same TLS', async () => {
  const keys = scratchDir('replica-tls');
  const files = writePair(keys, makePemPair('localhost'));
  const tls = { mode: 'verify-full', serverName: 'localhost', rootCert: files.certPath } as const;
  const args = [`--tls-cert=${files.certPath}`, `--tls-key=${files.keyPath}`];
  const { to: primary, program } = await it.upAndReady(['--suspend-after', '1s', ...args]);
  const { to: replica } = await it.upAndReady(['--replica']);
  for (const to of [primary, replica])
    expect(await query({ ...to, tls }, 'select 1 as n')).toEqual([{ n: 1 }]);
  await it.ok('init');
  await it.ok('config', 'settings.max_connections', '150');
  await it.ok('config', 'settings.work_mem', '9MB');
  const sleeps = (): number => program.output().split('"event":"asleep"').length - 1;
  const before = sleeps();
  await it.ok('apply');
  // It fetches its spec when the primary has the new one.
  await eventually('the replica has the setting', async () =>
    (await query(replica, 'show work_mem'))[0]?.['work_mem'] === '9MB' ? true : undefined,
  );
  await eventually('it sleeps', () => sleeps() > before || undefined);
  // The wake waits for the replica's restart.
  await eventually('it wakes', () =>
    query({ ...primary, tls }, 'create table if not exists after_wake as select 1 as n'),
  );
  await eventually('the replica has replayed it', () => query(replica, 'select n from after_wake'));
  expect(program.output()).toContain('its limits are below those of the primary');
  rmSync(keys, { recursive: true });
});

test('a replica that cannot start says why, and not only in its log', async () => {
  await it.upAndReady();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    const program = it.up(['--replica', `--http-port=${port}`]);
    expect(await program.exited()).toBe(1);
    expect(program.stderr()).toContain(`another program uses port ${port}, which is for the HTTP API`);
    expect(program.stderr()).toContain('Hint: stop that program');
    expect(program.stderr()).toContain('Code: port');
  } finally {
    other.close();
  }
});

test('a replica follows the primary, through the storage and also after it was away', async () => {
  await it.upAndReady();
  const primary = await main();
  await query(primary, 'create table t (n int)');
  const { to } = await it.upAndReady(['--replica']);
  const seen = (n: number) =>
    eventually(`${n} rows`, async () =>
      (await query(to, 'select count(*)::int as n from t'))[0]?.['n'] === n ? true : undefined,
    );
  await query(primary, 'insert into t values (1)');
  await seen(1);
  await expect(query(to, 'insert into t values (2)')).rejects.toThrow('read-only');
  process.kill(it.pidOf('storage') ?? -1, 'SIGKILL');
  await query(primary, 'insert into t select generate_series(2, 1000)');
  await seen(1000);
  // Streaming, not polling: copying segments again and again would fill the log.
  const log = readFileSync(join(it.dir, 'nodes/replica/log/compute_ctl.log'), 'utf8');
  expect(log).toContain('started streaming WAL');
});

/** Inserts as fast as it can into whoever accepts it, and remembers what was acknowledged and when. */
function load(targets: readonly PgTarget[]) {
  const [tried, acknowledged] = [new Set<number>(), new Set<number>()];
  const moments: number[] = [];
  let stopped = false;
  const work = async (): Promise<void> => {
    let client: PgClient | undefined;
    for (let id = 1, at = 0; !stopped; id++) {
      try {
        client ??= await connectPg(targets[at % targets.length] as PgTarget, { ...options, connectMs: 500 });
        tried.add(id);
        await client.query('insert into written (id) values ($1)', [id]);
        acknowledged.add(id);
        moments.push(performance.now());
      } catch {
        if (client !== undefined) destroyPg(client);
        client = undefined;
        at++;
        // The pace of the client, not a wait.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    if (client !== undefined) destroyPg(client);
  };
  const done = work();
  const stop = (): Promise<void> => ((stopped = true), done);
  return { tried, acknowledged, moments, stop };
}

test('a replica promoted under load loses no acknowledged row, twice, and the old primary comes back as its replica', async () => {
  await it.upAndReady(['--keep', '1d']);
  const primary = await main();
  await query(primary, 'create table written (id bigint primary key)');
  // At the same moment, without a port in common.
  const [first, second] = (await Promise.all(
    (['first', 'second'] as const).map((name) => it.upAndReady(['--replica', '--name', name])),
  )) as [Started, Started];
  const { tried, acknowledged, moments, stop } = load([primary, first.to, second.to]);
  const more = async (rows: number): Promise<void> => {
    const goal = acknowledged.size + rows;
    await eventually('writes go on', () => (acknowledged.size >= goal ? true : undefined), 60_000);
  };
  const gaps: number[] = [];
  for (const name of ['first', 'second']) {
    await more(100);
    const before = moments.length - 1;
    const promoted = await it.command('promote', '--name', name);
    expect(promoted.stderr).toBe('');
    expect(promoted.code).toBe(0);
    await more(100);
    const during = moments.slice(before);
    gaps.push(Math.max(...during.slice(1).map((moment, at) => moment - (during[at] ?? moment))));
  }
  await stop();
  process.stderr.write(
    `promoted under load: writes stood still for ${gaps.map((gap) => gap.toFixed(0)).join(' and ')} ms\n`,
  );
  // A receiver whose first word came too early once spoke again only after ten seconds, and commits waited for it.
  expect(Math.max(...gaps)).toBeLessThan(8000);
  const ids = async (to: PgTarget): Promise<number[]> =>
    (await query(to, 'select id from written')).map(({ id }) => Number(id));
  const found = new Set(await ids(second.to));
  expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
  expect([...found].filter((id) => !tried.has(id))).toEqual([]);
  for (const replica of [primary, first.to]) {
    await eventually(
      'the others follow',
      async () => ((await ids(replica)).length === found.size ? true : undefined),
      60_000,
    );
    await expect(query(replica, 'create table no ()')).rejects.toThrow('read-only');
  }
  // A moment between a promotion and the base backup after it: exact up to the first commit, then refused.
  const { tenantId, timelineId } = it.state() as unknown as Record<string, string>;
  const files = timelineDir(join(it.dir, 'storage'), tenantId ?? '', timelineId ?? '');
  const promotions = (storedBases(files) ?? []).flatMap(({ promotion }) => promotion ?? []);
  expect(promotions).toHaveLength(2);
  for (const { lsn, firstCommitMs } of promotions) {
    expect(firstCommitMs).not.toBeNull();
    expect(forkPoint(files, { timeMs: (firstCommitMs ?? 0) - 0.002 }).lsn).toBe(lsn);
    expect(() => forkPoint(files, { timeMs: firstCommitMs ?? 0 })).toThrow(
      /is between a promotion at .* and the base backup after it.* to .*, and .* \(now\) can be restored/,
    );
    // It advised a larger --keep, which does not help.
    expect(() => forkPoint(files, { timeMs: firstCommitMs ?? 0 })).toThrow(
      expect.objectContaining({
        hint: expect.stringContaining(`choose the LSN ${formatLsn(lsn)}`) as unknown,
      }),
    );
  }
  // All that can be restored is told: what is between a promotion and the base backup after it is not.
  type Told = { restorable_ranges: object[] };
  const told = JSON.parse((await it.command('status', '--json')).stdout) as { storage: Told };
  const listed = JSON.parse((await it.command('list', '--json')).stdout) as { computes: Told[] };
  expect([told.storage, listed.computes[0]].map((one) => one?.restorable_ranges.length)).toEqual([3, 3]);
  expect((await it.command('status')).stdout).toMatch(
    /\n {2}Restorable .* to \S+\n +and .* to \S+\n +and .* to \S+ \(compute-local up/,
  );
  expect((await it.command('list')).stdout).toMatch(/\n {2}main: .*, and .*, and .* can be restored/);
  await it.command('stop');
  await it.upAndReady();
  expect(new Set(await ids(primary))).toEqual(found);
  await query(primary, 'insert into written values (0)');
}, 300_000);

test('a replica that was promoted behind the back of a primary that went on acknowledging is not followed', async () => {
  await it.upAndReady();
  const primary = await main();
  await query(primary, 'create table written (id bigint primary key)');
  const { to } = await it.upAndReady(['--replica']);
  const { acknowledged, stop } = load([primary]);
  const more = (): Promise<true> => {
    const goal = acknowledged.size + 100;
    return eventually('writes go on', () => (acknowledged.size >= goal ? true : undefined), 60_000);
  };
  await more();
  await query(superuser(to, join(it.dir, 'nodes/replica/run')), 'select pg_promote()');
  const log = (): string => readFileSync(join(it.dir, 'log/storage.log'), 'utf8');
  await eventually('the refusal', () => (log().includes('not taking over') ? true : undefined));
  await more();
  await stop();
  const rows = await query(primary, 'select id from written');
  const found = new Set(rows.map(({ id }) => Number(id)));
  expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
  expect(existsSync(join(it.dir, 'primary.json'))).toBe(false);
});
