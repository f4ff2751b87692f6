import { mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminAt, backupWithout, fireAt, looks, scrapeOf, scrapeWith, session } from '../support/alerts.ts';
import { parseYaml } from '../support/yaml.ts';
import { type PgClient, connectPg, destroyPg, withPg } from '../../src/pg/client.ts';
import { freePort } from '../support/cluster.ts';
import { type Rig, processesIn, rig, signalAll } from '../support/compute.ts';
import { localRig } from '../support/local.ts';
import { eventually } from '../support/program.ts';
import {
  type Scrape,
  askRules,
  firing,
  prometheusTool,
  rulesFile,
  startPrometheus,
} from '../support/prometheus.ts';
import { scratchDir } from '../support/scratch.ts';
import { makeCertificate } from '../support/tls.ts';

// Each alert is fired by the scrapes of a compute that is really in that state.
const mayMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
const dir = scratchDir('alerts');
const fired = new Set<string>();

function fires(scrapes: readonly Scrape[], ...alerts: string[]): void {
  askRules(dir, scrapes, [firing(alerts)]);
  for (const alert of alerts) fired.add(alert);
}

const setting = (name: string, value: string) => ({ name, value, vartype: 'string' });

/** The same compute, well and then in one trouble after the other. */
const hasTools = prometheusTool('promtool') !== null;
describe.skipIf(!hasTools || !mayMount)('one compute on a small disk', () => {
  let it: Rig;
  let disk: string;
  const clients: PgClient[] = [];
  const pg = () => adminAt(it.port);
  const run = (sql: string) => withPg(pg(), session, async (on) => (await on.query(sql)).rows);
  const certificate = (days: number) => makeCertificate(it.home, 'server', days);
  const spec = (owner: string) => {
    const { cluster, ...rest } = it.spec() as { cluster: { settings: object[] } };
    const settings = [...cluster.settings, setting('max_connections', '12'), setting('max_wal_size', '1GB')];
    const roles = [{ name: 'ann' }, { name: 'bob' }];
    const databases = [{ name: 'shop', owner }];
    return { ...rest, features: ['tls_experimental'], cluster: { ...cluster, settings, roles, databases } };
  };
  const config = (owner: string) => ({
    spec: spec(owner),
    compute_ctl_config: {
      jwks: it.keys.jwks,
      tls: { key_path: join(it.home, 'server.key'), cert_path: join(it.home, 'server.crt') },
    },
  });
  let program: ReturnType<Rig['start']>;

  beforeAll(async () => {
    it = await rig();
    disk = join(it.home, 'disk');
    mkdirSync(disk);
    certificate(60);
    writeFileSync(join(it.home, 'config.json'), JSON.stringify(config('ann')));
    const mount = `mount -t tmpfs -o size=400m,mode=777 none ${disk} && exec "$@"`;
    program = it.run(
      ['-c', join(it.home, 'config.json'), '-i', 'compute-1', '-D', join(disk, 'pgdata')],
      {},
      it.httpPort,
      undefined,
      `[ -n "$INSIDE" ] || INSIDE=1 exec unshare -m bash -c '${mount}' - "$@"`,
    );
    await it.until('running');
  });
  afterAll(async () => {
    for (const client of clients) destroyPg(client);
    await it?.stop();
  });

  let healthy: string;
  test('that is well fires none', async () => {
    healthy = await scrapeWith(it.httpPort, /compute_pg_disk_bytes/, /compute_pg_connections\{/);
    fires([healthy, healthy, await scrapeOf(it.httpPort)]);
  });

  test('with nearly all connections, WAL for a slot, hardly any room and an old certificate', async () => {
    const within = `/proc/${program.pid}/root${disk}`;
    await run(`select pg_create_physical_replication_slot('left', true)`);
    for (let n = 0; n < 7; n++) clients.push(await connectPg(pg(), session));
    await run(
      `select pg_logical_emit_message(false, 'x', repeat('x', 1000000)) from generate_series(1, 100)`,
    );
    certificate(2);
    await it.http('POST', '/configure', config('bob'));
    const { bavail, bsize } = statfsSync(within);
    execFileSync('fallocate', ['-l', String(bavail * bsize - 25_000_000), join(within, 'ballast')]);
    const scrape = await scrapeWith(
      it.httpPort,
      /^compute_pg_slots_retained_bytes \d{9}$/m,
      /^compute_pg_disk_bytes\{what="free"\} [123]\d{7}$/m,
    );
    const troubles = ['ComputeConnectionsNearLimit', 'ComputeDiskFilling', 'ComputeSlotRetainsWal'];
    fires(
      [healthy, scrape, scrape],
      ...troubles,
      'ComputeCertificateExpired',
      'ComputeCertificateExpiresSoon',
    );
    rmSync(join(within, 'ballast'));
  });

  test('without a free connection', async () => {
    for (;;) {
      const client = await connectPg(pg(), session).catch(() => null);
      if (client === null) break;
      clients.push(client);
    }
    const scrape = await scrapeWith(it.httpPort, /^compute_pg_full 1$/m);
    for (const client of clients.splice(0)) destroyPg(client);
    expect(() => fires([healthy, scrape])).toThrow('ComputeConnectionsFull');
    fired.add('ComputeConnectionsFull');
  });

  test('whose Postgres hangs, and then all of it is gone', async () => {
    const postgres = processesIn(join(disk, 'pgdata'));
    expect(postgres.length).toBeGreaterThan(2);
    signalAll(postgres, 'SIGSTOP');
    const scrapes: Scrape[] = [healthy];
    try {
      await eventually('ten seconds of downtime', async () => {
        const scrape = await scrapeOf(it.httpPort);
        const ms = Number(/^compute_pg_downtime_ms_total (.*)$/m.exec(scrape ?? '')?.[1]);
        if (ms > scrapes.length * 2000) scrapes.push(scrape);
        return ms > 12_000 ? true : undefined;
      });
    } finally {
      signalAll(postgres, 'SIGCONT');
    }
    for (const alert of ['ComputePostgresDown', 'ComputeDowntimeRising']) {
      expect(() => fires(scrapes)).toThrow(alert);
      fired.add(alert);
    }
    program.kill('SIGKILL');
    await program.exited();
    fires([healthy, healthy, await scrapeOf(it.httpPort)], 'ComputeDown');
  });
});

describe.skipIf(!hasTools)('a compute', () => {
  const withRig = async (use: (it: Rig) => Promise<void>): Promise<void> => {
    const it = await rig();
    try {
      await use(it);
    } finally {
      await it.stop();
    }
  };

  test('that cannot start', () =>
    withRig(async (it) => {
      it.pageserver.script.fault = 'error-before';
      it.start();
      fires([await scrapeWith(it.httpPort, /status="failed"/)], 'ComputeStartFailed');
    }));

  test('that cannot start is seen by Prometheus itself', () =>
    withRig(async (it) => {
      it.pageserver.script.fault = 'error-before';
      const web = `127.0.0.1:${await freePort()}`;
      const prometheus = startPrometheus(dir, web, `127.0.0.1:${it.httpPort}`);
      try {
        await looks(web);
        it.start();
        await fireAt(web, 'ComputeStartFailed');
      } finally {
        prometheus.kill('SIGKILL');
        await once(prometheus, 'exit');
      }
    }));

  test('with a database that is gone', () =>
    withRig(async (it) => {
      it.pageserver.script.tarball = await backupWithout('gone');
      const spec = it.spec() as { cluster: { databases: object[] } };
      spec.cluster.databases.push({ name: 'gone', owner: 'cloud_admin' });
      it.start({ spec });
      fires([await scrapeWith(it.httpPort, /^compute_ctl_failed_databases 1$/m)], 'ComputeCatalogFailing');
    }));

  test('that waits for its storage', () =>
    withRig(async (it) => {
      it.pageserver.script.fault = 'silent';
      it.start();
      fires([await scrapeWith(it.httpPort, /status="init"/)], 'ComputeStartSlow');
    }));

  test('whose migration fails, and whose commits then do not return', () =>
    withRig(async (it) => {
      it.start({ args: ['--enable-failpoints'], env: { FAILPOINTS: 'compute-migration=return(2)' } });
      await it.until('running');
      const scrape = await scrapeWith(it.httpPort, /^compute_ctl_db_migration_failed_total/m);
      fires([scrape], 'ComputeMigrationFailed');
      const target = adminAt(it.port);
      await withPg(target, session, async (on) => {
        await on.query(`alter system set synchronous_standby_names = 'nobody'`);
        await on.query('select pg_reload_conf()');
      });
      const waiting = withPg(target, session, (on) => on.query('create table t ()')).catch(() => {});
      const stuck = await scrapeWith(it.httpPort, /^compute_pg_commits_stuck_ms [1-9]/m);
      fires([stuck], 'ComputeMigrationFailed', 'ComputeCommitsStuck');
      await it.stop();
      await waiting;
    }));

  test('that ends soon after each start', () =>
    withRig(async (it) => {
      const scrapes: Scrape[] = [];
      for (let n = 0; n < 4; n++) {
        const program = it.start({ spec: null });
        scrapes.push(await scrapeWith(it.httpPort, /^process_start_time_seconds [1-9]/m));
        program.kill('SIGKILL');
        await program.exited();
      }
      askRules(dir, scrapes, [firing(['ComputeRestartLoop'])], { holdS: 300 });
      fired.add('ComputeRestartLoop');
    }));

  test('whose storage has too little room', async () => {
    const local = localRig();
    try {
      await local.upAndReady(['--warn-free', '100000GB']);
      const port = local.state().ports['externalHttp'] ?? 0;
      fires([await scrapeWith(port, /^compute_storage_troubles\{/m)], 'ComputeStorageTrouble');
    } finally {
      await local.clean();
    }
  });
});

test.skipIf(!hasTools || !mayMount)('every alert was fired', () => {
  const { groups } = parseYaml(readFileSync(rulesFile, 'utf8')) as {
    groups: { rules: { alert: string }[] }[];
  };
  const all = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  expect([...fired].toSorted()).toEqual(all.toSorted());
});
