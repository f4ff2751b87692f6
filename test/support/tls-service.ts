import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { expect, onTestFinished, vi } from 'vitest';
import { Failpoints } from '../../src/core/failpoints.ts';
import { Metrics } from '../../src/metrics/registry.ts';
import { openSocket } from '../../src/pg/socket.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import type { TlsFiles } from '../../src/postgres/tls.ts';
import { tlsSection } from '../../src/postgres/tls-lines.ts';
import { removePair } from '../../src/postgres/tls-placed.ts';
import type { RunningService, ServiceDeps } from '../../src/services/service.ts';
import { TlsReaders } from '../../src/services/tls/readers.ts';
import { tlsService } from '../../src/services/tls/service.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { type Installed, defaultPostgres } from './postgres-versions.ts';
import { type PemPair, writePair } from './tls-pairs.ts';

export const { signal } = new AbortController();
/** Until the expectations hold. */
export const soon = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check, { timeout: 30_000, interval: 50 });
/** A look without a notification comes too late for these tests. */
const times = { lookMs: 600_000, withoutPairMs: 600_000, unsettledMs: 100, graceMs: 3000, servedMs: 10_000 };

export const late = { conf: tlsSection(false).join('\n') };

export async function cluster(postgres: Installed = defaultPostgres(), conf = late.conf): Promise<Cluster> {
  const started = await startCluster({ postgres, conf });
  onTestFinished(() => started.stop());
  return started;
}

let common: Promise<Cluster> | null = null;

export const stopShared = async (): Promise<void> => (await common)?.stop();

/** A server for several tests, without TLS at the beginning of each. */
export async function shared(): Promise<Cluster> {
  common ??= startCluster(late);
  const on = await common;
  removePair(on.dataDir);
  on.postmaster.kill('SIGHUP');
  await soon(async () => expect(await served(on)).toBeNull());
  return on;
}

export interface Served {
  readonly service: RunningService<TlsFiles>;
  readonly readers: TlsReaders;
  readonly lines: { level: number; msg: string }[];
  readonly metrics: Metrics;
  state(): string;
}

export async function serve(
  on: Cluster,
  files: TlsFiles,
  given: Partial<typeof times> = {},
  told: TlsReaders | null = null,
  failpoints = new Failpoints(),
): Promise<Served> {
  const lines: Served['lines'] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Served['lines'][0]) });
  const [metrics, readers] = [new Metrics(), told ?? new TlsReaders(log, files)];
  const deps = {
    log,
    metrics,
    failpoints,
    tlsReaders: readers,
    pgdata: () => ({ path: on.dataDir }),
    reloadPostgres: () => on.postmaster.kill('SIGHUP'),
    settings: { target: on.target },
  } as unknown as ServiceDeps;
  const service = await tlsService({ ...times, ...given }).start(files, deps, signal);
  onTestFinished(() => service.stop(signal));
  return { service, readers, lines, metrics, state: () => service.health.state };
}

export const overTls = (target: PgTarget): PgTarget => ({
  ...target,
  tls: { mode: 'require', serverName: target.host, rootCert: null },
});

/** The name in the certificate that a new connection gets; null: without TLS. */
export async function served({ target }: Cluster): Promise<string | null> {
  try {
    const socket = (await openSocket(overTls(target), signal)) as TLSSocket;
    const name = socket.getPeerX509Certificate()?.subject ?? null;
    socket.destroy();
    return name;
  } catch {
    return null;
  }
}

export const untilServed = (on: Cluster, name: string): Promise<unknown> =>
  soon(async () => expect(await served(on)).toBe(`CN=${name}`));

export const untilHealth = ({ service }: Served, state: string, why: RegExp | null): Promise<unknown> =>
  soon(() => {
    expect(service.health.state).toBe(state);
    if (why === null) expect(service.health.error).toBeNull();
    else expect(service.health.error).toMatch(why);
  });

export const reloads = (on: Cluster): number => on.log().match(/received SIGHUP/g)?.length ?? 0;

/** As a volume of secrets does it. */
export function swapVersion(dir: string, pair: PemPair, name: string): TlsFiles {
  mkdirSync(join(dir, name));
  writePair(join(dir, name), pair);
  symlinkSync(name, join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  return { keyPath: join(dir, 'tls.key'), certPath: join(dir, 'tls.crt') };
}
