select r.rolbypassrls from pg_catalog.pg_roles r
where r.rolname = pg_catalog.current_setting('compute_ctl.privileged_role');
