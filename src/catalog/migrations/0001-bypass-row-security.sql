-- Why: members act for the data's owner, whom row security must not stop.   Re-run: safe   Locks: no user table
do $$
begin
  execute pg_catalog.format('alter role %I bypassrls', pg_catalog.current_setting('compute_ctl.privileged_role'));
end
$$;
