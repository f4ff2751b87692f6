-- Looked up by name: the second function does not exist before PostgreSQL 16.
select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000 or pg_catalog.bool_and(
  pg_catalog.has_function_privilege(
    pg_catalog.current_setting('compute_ctl.privileged_role')::pg_catalog.name, p.oid, 'execute'))
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'pg_catalog' and p.proname in ('pg_export_snapshot', 'pg_log_standby_snapshot');
