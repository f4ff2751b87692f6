import { sql } from '../core/sql.ts';

/** One reading of what Postgres counts. Numbers of 64 bits come as floats. */
export interface StatisticsRow {
  readonly connections: Readonly<Record<string, number>>;
  readonly connections_limit: number;
  readonly longest_s: number;
  readonly xid_age: number;
  readonly commits: number;
  readonly rollbacks: number;
  readonly deadlocks: number;
  readonly blocks_hit: number;
  readonly blocks_read: number;
  readonly temp_bytes: number;
  readonly wal_position: number;
  readonly wal_bytes: number;
  readonly retained_bytes: number;
  readonly senders: readonly { readonly application: string; readonly lag: number }[];
  readonly in_recovery: boolean;
  readonly replay_lag_s: number;
  /** As in `ssl_cert_file`; null while `ssl` is off. */
  readonly certificate_file: string | null;
}

/** One statement, one row, for every version from 14 on (`reserved_connections` came with 16).
 *  It reads functions rather than their views: those join tables of the catalog, and to read a table may write WAL (a page is pruned).
 *  @see https://www.postgresql.org/docs/current/monitoring-stats.html */
export const statisticsQuery = sql`
with here as (
  select pg_catalog.pg_is_in_recovery() as recovering,
         case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
              else pg_catalog.pg_current_wal_lsn() end as lsn),
clients as (
  select case when state = 'active' then 'active' when state = 'idle' then 'idle'
              when state like 'idle in transaction%' then 'idle_in_transaction' else 'other' end as state, xact_start
    from pg_catalog.pg_stat_get_activity(null)
   where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()),
databases as (
  select name::pg_catalog.oid as db from pg_catalog.pg_ls_dir('base') name where name ~ '^[0-9]+$'),
totals as (
  select pg_catalog.sum(pg_catalog.pg_stat_get_db_xact_commit(db))::pg_catalog.float8 as commits, pg_catalog.sum(pg_catalog.pg_stat_get_db_xact_rollback(db))::pg_catalog.float8 as rollbacks,
         pg_catalog.sum(pg_catalog.pg_stat_get_db_deadlocks(db))::pg_catalog.float8 as deadlocks,
         pg_catalog.sum(pg_catalog.pg_stat_get_db_blocks_hit(db))::pg_catalog.float8 as blocks_hit,
         pg_catalog.sum(pg_catalog.pg_stat_get_db_blocks_fetched(db) - pg_catalog.pg_stat_get_db_blocks_hit(db))::pg_catalog.float8 as blocks_read,
         pg_catalog.sum(pg_catalog.pg_stat_get_db_temp_bytes(db))::pg_catalog.float8 as temp_bytes
    from databases),
senders as (
  select application_name as application, pg_catalog.max(pg_catalog.pg_wal_lsn_diff(here.lsn,
           coalesce(flush_lsn, write_lsn, sent_lsn)))::pg_catalog.float8 as lag
    from pg_catalog.pg_stat_get_wal_senders() w join pg_catalog.pg_stat_get_activity(null) a using (pid), here
   where coalesce(flush_lsn, write_lsn, sent_lsn) is not null group by 1 order by 2 desc limit 20)
select (select coalesce(pg_catalog.jsonb_object_agg(state, n), '{}') from (select state, pg_catalog.count(*) as n from clients group by 1) c) as connections,
       pg_catalog.current_setting('max_connections')::pg_catalog.int4
         - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
         - coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0) as connections_limit,
       (select coalesce(pg_catalog.max(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - xact_start)), 0) from clients) as longest_s,
       pg_catalog.age((select oldest_xid from pg_catalog.pg_control_checkpoint())) as xid_age,
       totals.*,
       coalesce(pg_catalog.pg_wal_lsn_diff(here.lsn, '0/0'), 0)::pg_catalog.float8 as wal_position,
       (select coalesce(pg_catalog.sum(size), 0)::pg_catalog.float8 from pg_catalog.pg_ls_waldir()) as wal_bytes,
       (select coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(here.lsn, restart_lsn)), 0)::pg_catalog.float8
          from pg_catalog.pg_get_replication_slots()) as retained_bytes,
       (select coalesce(pg_catalog.jsonb_agg(senders), '[]') from senders) as senders,
       here.recovering as in_recovery,
       case when here.recovering and pg_catalog.pg_last_wal_receive_lsn() is distinct from here.lsn
         then coalesce(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()), 0)
         else 0 end as replay_lag_s,
       case when pg_catalog.current_setting('ssl')::pg_catalog.bool
         then pg_catalog.current_setting('ssl_cert_file') end as certificate_file
  from here, totals`.reveal();
