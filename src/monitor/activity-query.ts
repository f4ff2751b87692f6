import { type Sql, join, literal, sql } from '../core/sql.ts';

/** One reading of the server's activity. Times are milliseconds since 1970 by the server's clock. */
export interface ActivityRow {
  readonly now_ms: number;
  /** User sessions that are active or in a transaction. */
  readonly busy: number;
  /** The latest state change of an idle user session; null when there is none. */
  readonly idle_since_ms: number | null;
  readonly walsenders: number;
  readonly subscriptions: number;
  readonly autovacuum: number;
  /** Sessions of compute_ctl and of the admin role in user databases. */
  readonly own_sessions: number;
  /** Null unless the statistics were requested: all sessions so far, and milliseconds spent active, in user databases. */
  readonly sessions: number | null;
  readonly active_ms: number | null;
}

/** The application name of every connection of compute_ctl begins like this. */
export const ownPrefix = 'compute_ctl:';

/** WAL senders that serve the storage, as long as Postgres runs: Neon's and that of the embedded storage. */
const storageWalSenders = ['walproposer', 'compute_local'];

/** Databases that users do not work in. */
export const systemDatabases: readonly string[] = ['postgres', 'template0', 'template1'];

const list = (names: readonly string[]): Sql => join(names.map(literal));

const notOfUsers = sql`${list(systemDatabases)}, pg_catalog.current_database()`;

/** One statement, one row. Parameters: the admin role's name; whether to read the statistics.
 *  With track_activities off a session has the state `disabled` and no times. Then it counts as busy while it is in a
 *  transaction (it holds a lock on its own transaction id), and otherwise as idle since its start.
 *  A commit that waits for synchronous replication is named by its process and transaction: the next commit of the same
 *  session is another one.
 *  @see https://www.postgresql.org/docs/current/monitoring-stats.html */
export const activityQuery = sql`
select now_ms, busy, idle_since_ms, walsenders, autovacuum, own_sessions, subscriptions, sessions, active_ms,
       waiting_commits[1:20] as waiting_commits, synchronous
  from (
    select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000 as now_ms,
           pg_catalog.count(*) filter (where of_user and case state
             when 'idle' then false
             when 'disabled' then exists (
               select from pg_catalog.pg_locks l where l.pid = s.pid and l.locktype = 'virtualxid')
             else state is not null end)::pg_catalog.int4 as busy,
           pg_catalog.max(pg_catalog.date_part('epoch', case state
             when 'idle' then state_change when 'disabled' then backend_start end) * 1000)
             filter (where of_user) as idle_since_ms,
           pg_catalog.count(*) filter (where backend_type = 'walsender' and not own
             and application_name not in (${list(storageWalSenders)}))::pg_catalog.int4 as walsenders,
           pg_catalog.count(*) filter (where backend_type = 'autovacuum worker')::pg_catalog.int4 as autovacuum,
           pg_catalog.count(*) filter (where backend_type = 'client backend' and (own or usename = $1)
             and datname not in (${notOfUsers}))::pg_catalog.int4 as own_sessions,
           pg_catalog.array_agg(commit order by xact_start) filter (where wait_event = 'SyncRep') as waiting_commits
      from (
        select a.*, pg_catalog.concat_ws(' ', a.pid, a.backend_start, a.backend_xid, a.xact_start) as commit,
               pg_catalog.starts_with(a.application_name, ${literal(ownPrefix)}) as own,
               a.backend_type = 'client backend' and a.usename <> $1
                 and not pg_catalog.starts_with(a.application_name, ${literal(ownPrefix)}) as of_user
          from pg_catalog.pg_stat_activity a
         where a.pid <> pg_catalog.pg_backend_pid()
      ) s
  ) seen,
  (select case when pg_catalog.current_setting('synchronous_standby_names') <> '' and not pg_catalog.pg_is_in_recovery()
               then pg_catalog.count(w.pid) filter (where w.sync_state in ('sync', 'quorum'))::pg_catalog.int4 end as synchronous
     from pg_catalog.pg_stat_get_wal_senders() w) standbys,
  (select pg_catalog.count(w.pid)::pg_catalog.int4 as subscriptions from pg_catalog.pg_stat_get_subscription(null) w) workers,
  (select case when $2::pg_catalog.bool then coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_db_sessions(d.oid)), 0)::pg_catalog.float8 end as sessions,
          case when $2::pg_catalog.bool then coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_db_active_time(d.oid)), 0) end as active_ms
     from pg_catalog.pg_database d
    where $2::pg_catalog.bool and d.datname not in (${notOfUsers})) totals`.reveal();
