import { once, setMaxListeners } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { pino } from 'pino';
import { Metrics } from '../../../src/metrics/registry.ts';
import { Monitor } from '../../../src/monitor/monitor.ts';
import type { MonitorOptions } from '../../../src/monitor/options.ts';
import { type PgClient, withPg } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import type { Cluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';

export const never = new AbortController().signal;
setMaxListeners(0, never);

/** A measured figure, for whoever reads the output of the tests. */
export const figure = (what: string, value: number | string): void =>
  void process.stdout.write(
    `      figure: ${what}: ${typeof value === 'number' ? Math.round(value) : value}\n`,
  );

/** Limits short enough for tests that do not measure them. */
export const brisk = {
  activityMs: 100,
  freshMs: 150,
  connectMs: 1500,
  queryMs: 1200,
  retryMs: 50,
  retryMaxMs: 200,
};

export interface Watched {
  readonly monitor: Monitor;
  readonly metrics: Metrics;
  readonly lines: string[];
  /** The value of a metric without labels, as a scrape sees it. */
  readonly value: (name: string) => Promise<number>;
}

/** Runs `use` while a monitor watches the target. */
export async function watched(
  target: PgTarget,
  options: Partial<MonitorOptions>,
  use: (watched: Watched) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const metrics = new Metrics();
  const monitor = new Monitor({
    target,
    log,
    metrics,
    isRunning: () => true,
    useStatistics: () => false,
    times: brisk,
    ...options,
  });
  const value = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (.*)$`, 'm').exec(await metrics.render())?.[1]);
  monitor.begin();
  try {
    await use({ monitor, metrics, lines, value });
  } finally {
    await monitor.stop();
  }
}

export const seen = (
  what: string,
  probe: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<true> => eventually(what, async () => ((await probe()) ? (true as const) : undefined), limitMs);

/** Waits until each kind of check was made `times` more, as the metrics count them. */
export async function checked(metrics: { render(): Promise<string> }, times = 2): Promise<void> {
  const counts = async (): Promise<number[]> => {
    const text = await metrics.render();
    return ['activity', 'connect'].map((check) =>
      Number(
        new RegExp(`^compute_pg_check_duration_seconds_count\\{check="${check}"\\} (.*)$`, 'm').exec(
          text,
        )?.[1] ?? 0,
      ),
    );
  };
  const before = await counts();
  await seen('checks', async () => (await counts()).every((count, at) => count >= (before[at] ?? 0) + times));
}

/** Only where time that passes is the thing tested; otherwise wait for what is to happen. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `work` in a session of its own. */
export const session = <T>(
  target: PgTarget,
  work: (pg: PgClient) => Promise<T>,
  applicationName = 'client',
): Promise<T> => withPg(target, { applicationName, connectMs: 5000, queryMs: 10_000, signal: never }, work);

export const run = (target: PgTarget, ...statements: string[]): Promise<void> =>
  session(target, async (pg) => {
    for (const statement of statements) await pg.query(statement);
  });

/** The pid of the monitor's kept connection. */
export const keptPid = (cluster: Cluster): Promise<number> =>
  session(cluster.target, async (pg) => {
    const { rows } = await pg.query(
      "select pid from pg_stat_activity where application_name = 'compute_ctl:compute_monitor' order by backend_start desc",
    );
    return Number((rows[0] as { pid: number }).pid);
  });

export interface Proxy {
  readonly port: number;
  /** True: nothing passes any more, and nothing is closed either, as when a cable is cut. */
  silent: boolean;
  stop(): Promise<void>;
}

/** Stands between the monitor and a server. Without a port to go to it accepts and never answers. */
export async function proxy(port: number | null): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    keep(client);
    if (port === null) return;
    const upstream = keep(connect(port, '127.0.0.1'));
    client.on('data', (bytes) => (made.silent ? undefined : upstream.write(bytes)));
    upstream.on('data', (bytes) => (made.silent ? undefined : client.write(bytes)));
    client.on('end', () => (made.silent ? undefined : upstream.end()));
    upstream.on('end', () => (made.silent ? undefined : client.end()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Proxy = {
    port: (server.address() as AddressInfo).port,
    silent: false,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  return made;
}
