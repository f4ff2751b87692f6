import type { Figures } from './model.ts';

/** What compute_ctl has counted at one moment. */
export interface Counted {
  /** Milliseconds of a clock that never goes back. */
  readonly atMs: number;
  readonly values: ReadonlyMap<string, number>;
}

const line = /^([a-z_]+(?:\{[^}]*\})?) ([-+.\deE]+)$/;

/** The values of Prometheus's text format, by name and labels as they are written. */
export function readMetrics(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const each of text.split('\n')) {
    const [, name, value] = line.exec(each) ?? [];
    if (name !== undefined) values.set(name, Number(value));
  }
  return values;
}

const connections = (state: string): string => `compute_pg_connections{state="${state}"}`;
const transactions = (outcome: string): string => `compute_pg_transactions_total{outcome="${outcome}"}`;

/** @param clients sessions of clients, as status counts them
 *  @param before null for the first sample: then there are no rates */
export function figuresOf(clients: number | null, now: Counted | null, before: Counted | null): Figures {
  const value = (name: string): number | null => now?.values.get(name) ?? null;
  const rate = (name: string): number | null => {
    const [to, from] = [value(name), before?.values.get(name) ?? null];
    if (to === null || from === null || now === null || before === null || now.atMs <= before.atMs)
      return null;
    // Less than before: it was started again.
    return to < from ? null : ((to - from) * 1000) / (now.atMs - before.atMs);
  };
  return {
    clients,
    active: value(connections('active')),
    idle: value(connections('idle')),
    inTransaction: value(connections('idle_in_transaction')),
    limit: value('compute_pg_connections_limit'),
    commits: rate(transactions('commit')),
    rollbacks: rate(transactions('rollback')),
    walBytes: rate('compute_pg_wal_written_bytes_total'),
  };
}
