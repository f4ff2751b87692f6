select pg_catalog.has_function_privilege(
  pg_catalog.current_setting('compute_ctl.privileged_role')::pg_catalog.name,
  'pg_catalog.pg_show_replication_origin_status()', 'execute');
