-- Why: a project's owner may monitor the server, and let others do so.   Re-run: safe   Locks: no user table
do $$
begin
  execute pg_catalog.format(
    'grant pg_monitor to %I with admin option', pg_catalog.current_setting('compute_ctl.privileged_role'));
end
$$;
