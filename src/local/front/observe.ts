import { join, literal, sql } from '../../core/sql.ts';
import type { PgClient } from '../../pg/client.ts';
import { slotName, standbyName, withCompute } from '../storage/compute-link.ts';
import type { Socket } from '../storage/tools.ts';
import { type Roster, readRoster } from './roster.ts';

/** What uses Postgres, in its own view. Times are milliseconds ago. */
export interface Observed {
  readonly sessions: readonly ObservedSession[];
  /** Base backups that run. */
  readonly backups: readonly { readonly pid: number; readonly application: string }[];
  /** Subscriptions that receive changes. */
  readonly subscriptions: number;
  /** Replication slots that are not the storage's. */
  readonly slots: readonly string[];
  /** The storage receives WAL, and has all that was flushed. */
  readonly stored: boolean;
  readonly roster: Roster;
}

export interface ObservedSession {
  readonly pid: number;
  readonly role: string;
  readonly database: string;
  readonly application: string;
  readonly walsender: boolean;
  /** Null when it is not in a transaction. */
  readonly transactionMs: number | null;
  /** Since it last did something. */
  readonly idleMs: number;
}

/** The beginnings of the names of the superuser's sessions that are ours: those of compute_ctl, the storage and this program. */
const own = ['compute_ctl:', 'compute_local'];
const isOwn = join(
  own.map((name) => sql`pg_catalog.starts_with(a.application_name, ${literal(name)})`),
  sql` or `,
);

const ageMs = (time: string): string =>
  `greatest(0, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-) ${time}) operator(pg_catalog.*) 1000)::pg_catalog.float8`;

const sessionsQuery = `select a.pid, coalesce(a.usename::pg_catalog.text, '') as role,
  coalesce(a.datname::pg_catalog.text, '') as database, coalesce(a.application_name, '') as application,
  a.backend_type operator(pg_catalog.=) 'walsender' as walsender,
  ${ageMs('a.xact_start')} as transaction_ms,
  a.xact_start is null as outside,
  ${ageMs('coalesce(a.state_change, a.backend_start)')} as idle_ms
  from pg_catalog.pg_stat_activity a
  where a.backend_type in ('client backend', 'walsender')
    and not (a.usename operator(pg_catalog.=) 'cloud_admin' and (${isOwn.reveal()}))`;

const backupsQuery = `select b.pid, coalesce(a.application_name, '') as application
  from pg_catalog.pg_stat_progress_basebackup b left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) b.pid`;

const subscriptionsQuery =
  'select pg_catalog.count(w.pid)::pg_catalog.int4 as n from pg_catalog.pg_stat_get_subscription(null) w';

const slotsQuery = `select slot_name::pg_catalog.text as name from pg_catalog.pg_replication_slots
  where not temporary and slot_name operator(pg_catalog.<>) ${literal(slotName).reveal()}`;

/** Whoever does not wait for the storage, by `synchronous_commit` or after a cancel, has committed what only this server has. A replica has
 *  nothing of its own. */
const storedQuery = `select case when pg_catalog.pg_is_in_recovery() then true else exists (select from pg_catalog.pg_stat_replication r
  where r.application_name operator(pg_catalog.=) ${literal(standbyName).reveal()} and r.state operator(pg_catalog.=) 'streaming'
    and r.flush_lsn operator(pg_catalog.>=) pg_catalog.pg_current_wal_flush_lsn()) end as stored`;

interface Row {
  readonly pid: number;
  readonly role: string;
  readonly database: string;
  readonly application: string;
  readonly walsender: boolean;
  readonly transaction_ms: number | null;
  readonly outside: boolean;
  readonly idle_ms: number;
}

/** @throws ComputeError when Postgres does not answer */
export const observe = (server: Socket, signal: AbortSignal): Promise<Observed> =>
  withCompute(server, signal, observeBy);

export async function observeBy(pg: PgClient): Promise<Observed> {
  const sessions = await sessionsBy(pg);
  const backups = await pg.query<{ pid: number; application: string }>(backupsQuery);
  const subscriptions = await pg.query<{ n: number }>(subscriptionsQuery);
  return {
    sessions,
    backups: backups.rows,
    subscriptions: subscriptions.rows[0]?.n ?? 0,
    slots: (await pg.query<{ name: string }>(slotsQuery)).rows.map(({ name }) => name),
    stored: (await pg.query<{ stored: boolean }>(storedQuery)).rows[0]?.stored === true,
    roster: await readRoster(pg),
  };
}

/** Everybody's but ours. */
export async function sessionsBy(pg: PgClient): Promise<ObservedSession[]> {
  const { rows } = await pg.query<Row>(sessionsQuery);
  return rows.map(({ transaction_ms: age, outside, idle_ms: idleMs, ...one }) => ({
    ...one,
    transactionMs: outside ? null : age,
    idleMs,
  }));
}
