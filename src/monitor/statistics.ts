import { statfs } from 'node:fs/promises';
import { repeat } from '../core/retry.ts';
import type { CounterName, Labels } from '../metrics/definitions.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { Log } from '../core/log.ts';
import { withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { ServedCertificate } from './certificate.ts';
import { type StatisticsRow, statisticsQuery } from './statistics-query.ts';

export interface StatisticsOptions {
  readonly target: PgTarget;
  readonly pgdata: string;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly everyMs?: number;
}

const everyMs = 15_000;
const soonMs = 1000;
const limits = { connectMs: 5000, queryMs: 5000 };

/** Reads what Postgres counts, its disk and its certificate, for the metrics alone: on a connection of its own, so that a slow
 *  answer is never taken for a downtime. Runs until `signal` aborts. */
export async function readStatistics(options: StatisticsOptions, signal: AbortSignal): Promise<void> {
  const { metrics, log } = options;
  const counted = new Counted(metrics);
  const target = ownSession(options.target);
  const certificate = new ServedCertificate(options.pgdata, metrics);
  let count = 0;
  const asked = async (): Promise<void> => {
    const row = await server(target, signal);
    show(row, counted, metrics);
    certificate.file = row.certificate_file;
  };
  const once = async (): Promise<number> => {
    const readings = [asked(), disk(options.pgdata, metrics)];
    // Also while the server does not answer.
    readings.push(Promise.allSettled(readings).then(() => certificate.show()));
    for (const reading of await Promise.allSettled(readings)) {
      if (reading.status === 'rejected' && !signal.aborted)
        log.debug({ err: reading.reason as unknown }, 'could not read what the metrics show');
    }
    // The first ones follow quickly: reading the catalog after its migrations may once prune a page, which belongs to the start.
    return options.everyMs ?? (++count <= 4 ? soonMs : everyMs);
  };
  await repeat(once, signal);
}

const server = (target: PgTarget, signal: AbortSignal): Promise<StatisticsRow> =>
  withPg(target, { applicationName: 'compute_ctl:statistics', ...limits, signal }, async (pg) => {
    const { rows } = await pg.query<StatisticsRow>(statisticsQuery);
    return rows[0] as StatisticsRow;
  });

const states = ['active', 'idle', 'idle_in_transaction', 'other'] as const;

function show(row: StatisticsRow, counted: Counted, metrics: Metrics): void {
  metrics.replace(
    'compute_pg_connections',
    states.map((state) => ({ labels: { state }, value: row.connections[state] ?? 0 })),
  );
  metrics.set('compute_pg_connections_limit', row.connections_limit);
  metrics.set('compute_pg_longest_transaction_seconds', Math.max(0, row.longest_s));
  metrics.set('compute_pg_xid_age', row.xid_age);
  metrics.set('compute_pg_wal_bytes', row.wal_bytes);
  metrics.set('compute_pg_slots_retained_bytes', row.retained_bytes);
  metrics.set('compute_pg_in_recovery', row.in_recovery ? 1 : 0);
  metrics.set('compute_pg_replay_lag_seconds', Math.max(0, row.replay_lag_s));
  metrics.replace(
    'compute_pg_walsender_lag_bytes',
    row.senders.map(({ application, lag }) => ({ labels: { application }, value: Math.max(0, lag) })),
  );
  counted.is('compute_pg_transactions_total', row.commits, { outcome: 'commit' });
  counted.is('compute_pg_transactions_total', row.rollbacks, { outcome: 'rollback' });
  counted.is('compute_pg_deadlocks_total', row.deadlocks, {});
  counted.is('compute_pg_blocks_total', row.blocks_hit, { from: 'cache' });
  counted.is('compute_pg_blocks_total', row.blocks_read, { from: 'storage' });
  counted.is('compute_pg_temporary_bytes_total', row.temp_bytes, {});
  counted.is('compute_pg_wal_written_bytes_total', row.wal_position, {});
}

/** Counters of Postgres. They begin anew when it resets its statistics, and ours go on. */
class Counted {
  readonly #last = new Map<string, number>();
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  is<N extends CounterName>(name: N, value: number, labels: Labels<N>): void {
    const key = `${name} ${Object.values(labels).join(' ')}`;
    const last = this.#last.get(key) ?? 0;
    this.#last.set(key, value);
    const add = this.#metrics.add.bind(this.#metrics) as (name: N, by: number, labels: Labels<N>) => void;
    add(name, value < last ? value : value - last, labels);
  }
}

async function disk(pgdata: string, metrics: Metrics): Promise<void> {
  const { bsize, bavail, blocks } = await statfs(pgdata);
  metrics.replace('compute_pg_disk_bytes', [
    { labels: { what: 'free' }, value: bavail * bsize },
    { labels: { what: 'total' }, value: blocks * bsize },
  ]);
}
