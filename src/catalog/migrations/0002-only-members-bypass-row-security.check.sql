select not exists (
  select from pg_catalog.pg_roles r
  cross join lateral pg_catalog.pg_has_role(
    r.oid, pg_catalog.current_setting('compute_ctl.privileged_role')::pg_catalog.name, 'member') member
  where (member and not r.rolinherit)
    or (not member and r.rolbypassrls and not pg_catalog.starts_with(r.rolname::pg_catalog.text, 'pg_')));
