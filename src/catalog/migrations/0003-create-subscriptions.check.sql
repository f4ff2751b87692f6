select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000 or exists (
  select from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles g on g.oid = m.roleid
  join pg_catalog.pg_roles r on r.oid = m.member
  where g.rolname = 'pg_create_subscription'
    and r.rolname = pg_catalog.current_setting('compute_ctl.privileged_role'));
