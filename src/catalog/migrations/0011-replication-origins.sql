-- Why: roles that may subscribe must be able to see the progress.   Re-run: safe   Locks: no user table
do $$
begin
  execute pg_catalog.format(
    'grant execute on function pg_catalog.pg_show_replication_origin_status() to %I',
    pg_catalog.current_setting('compute_ctl.privileged_role'));
end
$$;
