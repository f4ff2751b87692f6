import { monotonicMs } from '../../core/clock.ts';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import type { ComputeReport } from '../status/schema.ts';
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

const connectionsIn = (state: string): string => `compute_pg_connections{state="${state}"}`;
const transactions = (outcome: string): string => `compute_pg_transactions_total{outcome="${outcome}"}`;

/** compute_ctl counts at this interval: what has changed has changed since then. */
const countedMs = 15_000;
/** When nothing has changed for longer, nothing has happened. */
const longMs = 2 * countedMs;

/** The figures of one compute, look by look. */
export class FiguresOf {
  /** When the counters of transactions changed last, and what the rates were then. */
  #changed: Counted | null = null;
  #rates: Pick<Figures, 'commits' | 'rollbacks'> = { commits: null, rollbacks: null };
  #wal: { readonly atMs: number; readonly lsn: Lsn } | null = null;

  /** @param clients sessions of clients, as status counts them
   *  @param counted null without an answer */
  next(
    { connections: clients, lsn }: Pick<ComputeReport, 'connections' | 'lsn'>,
    counted: Counted | null,
  ): Figures {
    const value = (name: string): number | null => counted?.values.get(name) ?? null;
    this.#count(counted);
    return {
      clients,
      active: value(connectionsIn('active')),
      idle: value(connectionsIn('idle')),
      inTransaction: value(connectionsIn('idle_in_transaction')),
      limit: value('compute_pg_connections_limit'),
      ...this.#rates,
      walBytes: this.#walRate(parseLsn(lsn ?? ''), monotonicMs()),
    };
  }

  /** Their rates stay until compute_ctl has counted again. */
  #count(now: Counted | null): void {
    const before = this.#changed;
    const none = { commits: null, rollbacks: null };
    if (now === null || before === null) {
      [this.#changed, this.#rates] = [now, none];
      return;
    }
    const sinceMs = now.atMs - before.atMs;
    const grown = (outcome: string): number =>
      (now.values.get(transactions(outcome)) ?? 0) - (before.values.get(transactions(outcome)) ?? 0);
    const [commits, rollbacks] = [grown('commit'), grown('rollback')];
    if (commits === 0 && rollbacks === 0) {
      if (sinceMs > longMs) this.#rates = { commits: 0, rollbacks: 0 };
      return;
    }
    this.#changed = now;
    // Less than before: it was started again.
    const isNew = commits < 0 || rollbacks < 0 || sinceMs <= 0;
    const seconds = Math.min(sinceMs, countedMs) / 1000;
    this.#rates = isNew ? none : { commits: commits / seconds, rollbacks: rollbacks / seconds };
  }

  #walRate(lsn: Lsn | null, atMs: number): number | null {
    const before = this.#wal;
    this.#wal = lsn === null ? null : { atMs, lsn };
    if (lsn === null || before === null || lsn < before.lsn || atMs <= before.atMs) return null;
    return (Number(lsn - before.lsn) * 1000) / (atMs - before.atMs);
  }
}
