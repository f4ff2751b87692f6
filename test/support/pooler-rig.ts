import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { type PgClient, connectPg } from '../../src/pg/client.ts';
import { pgbouncer } from '../../src/services/pgbouncer/service.ts';
import type { RunningService } from '../../src/services/service.ts';
import { type Cluster, scratchDir, startCluster } from './cluster.ts';
import { type Bench, type Pgbouncer, benchFor, pgbouncerFor } from './helpers.ts';

const never = new AbortController().signal;
type Wanted = NonNullable<ReturnType<typeof pgbouncer.wants>>;
type Service = RunningService<Wanted>;

export const wanted = (settings: Record<string, string>, tls: Wanted['tls'] = null): Wanted => ({
  settings: Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, new Secret(value)])),
  tls,
});

/** Waits for a state that has been reached: before, the health has a detail. */
export const becomes = async (service: Service, state: string, error: unknown = null): Promise<void> => {
  await expect.poll(() => service.health).toEqual({ state, error, since: expect.any(String) as string });
};

export interface PoolerRig {
  readonly cluster: Cluster;
  /** A directory for each test. */
  readonly home: string;
  /** For each test, not started. */
  readonly pooler: Pgbouncer;
  /** The text of its ini file. */
  readonly ini: () => string;
  /** A client through it. */
  readonly connect: () => Promise<PgClient>;
  readonly bench: (
    more?: Parameters<typeof benchFor>[1],
    how?: Parameters<typeof benchFor>[2],
  ) => Bench<Wanted>;
}

/** For the tests of a file: a server, and a pgbouncer in front of it. */
export function poolerRig(): PoolerRig {
  let cluster: Cluster;
  let home: string;
  let pooler: Pgbouncer;
  const clients: PgClient[] = [];
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    home = scratchDir('pgb');
    pooler = await pgbouncerFor(home, cluster.port);
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
    pooler.stop();
    chmodSync(home, 0o755);
    rmSync(home, { recursive: true, force: true });
  });
  return {
    get cluster() {
      return cluster;
    },
    get home() {
      return home;
    },
    get pooler() {
      return pooler;
    },
    ini: () => readFileSync(pooler.ini, 'utf8'),
    async connect() {
      const target = { ...cluster.target, port: pooler.port, user: 'app', options: '' };
      const client = await connectPg(target, { applicationName: '', connectMs: 20_000, signal: never });
      clients.push(client);
      return client;
    },
    bench: (more = {}, how = {}) =>
      benchFor(
        pgbouncer,
        { pgbouncerIni: pooler.ini, pgbouncerPort: pooler.port, pgbouncerPidFile: pooler.pidFile, ...more },
        how,
      ),
  };
}
