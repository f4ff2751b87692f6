-- Why: logical replication tools export snapshots and log the standby snapshot.
-- Needs: PostgreSQL 16   Re-run: safe   Locks: no user table
do $$
begin
  execute pg_catalog.format(
    'grant execute on function pg_catalog.pg_export_snapshot(), pg_catalog.pg_log_standby_snapshot() to %I',
    pg_catalog.current_setting('compute_ctl.privileged_role'));
end
$$;
