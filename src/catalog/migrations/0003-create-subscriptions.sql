-- Why: a project's owner may subscribe to publications on other servers.
-- Needs: PostgreSQL 16   Re-run: safe   Locks: no user table
do $$
begin
  execute pg_catalog.format('grant pg_create_subscription to %I', pg_catalog.current_setting('compute_ctl.privileged_role'));
end
$$;
