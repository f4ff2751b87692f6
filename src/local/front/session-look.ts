import { ownStatement } from './extended.ts';

/** Most functions are passed over by it, also those with an UPDATE: the rest is searched again and again. */
const mayName = String.raw`set_config|\mset\s+(?:session\s+)?(?:\w|\$)+\.`;

/** Functions of the database that may leave a parameter of an application behind, such as `app.tenant`: pg_settings does not list those, so the
 *  session is asked for each that is named in their text. Objects of the system have lower numbers. */
const functions = `select p.oid, text from pg_catalog.pg_proc p,
  lateral (select coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as text) t
  where p.oid operator(pg_catalog.>=) 16384 and t.text operator(pg_catalog.~*) '${mayName}'`;

/** A name with a dot, in a call of set_config and in SET. */
const names = [
  String.raw`set_config\s*\(\s*(?:setting_name\s*=>\s*)?e?'([^'.]+\.[^']+)'(?:::text)?\s*,`,
  String.raw`\mset\s+(?:session\s+)?((?:\w|\$)+\.(?:\w|[.$])+)\s*(?:=|\mto\M)`,
];
/** A call that takes everything back by itself, when the transaction ends. One pair of brackets may be in its arguments, and in
 *  those. */
const local = String.raw`set_config\s*\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*,\s*(?:is_local\s*(?:=>|:=)\s*)?true\s*\)`;
/** A call whose parameter is not named in the text. */
const computed = String.raw`set_config\s*\(\s*(?!(?:setting_name\s*=>\s*)?e?'[^']*'(?:::text)?\s*,)`;

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const setNames = names.map(
  (pattern) =>
    `select m[1] as name from own, pg_catalog.regexp_matches(own.text, ${quoted(pattern)}, 'gi') m`,
);

/** Everything is named with its schema: the session may have any search_path. Names of relations are compared as OIDs. */
export const look = `with own as materialized (${functions})
 select 'setting', name, setting, '' from pg_catalog.pg_settings where source operator(pg_catalog.=) 'session'
 union all select 'prepared', name, from_sql::pg_catalog.text, statement from pg_catalog.pg_prepared_statements
  where name operator(pg_catalog.<>) '${ownStatement}'
 union all select 'user', session_user::pg_catalog.text, '', ''
 union all select 'state', 'temporary tables', '', '' where exists (select from pg_catalog.pg_depend
  where refclassid operator(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
    and refobjid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema())
 union all select 'state', 'LISTEN', '', '' where exists (select from pg_catalog.pg_listening_channels())
 union all select 'state', 'cursors', '', '' where exists (select from pg_catalog.pg_cursors where is_holdable)
 union all select 'state', 'advisory locks', '', '' where exists (select from pg_catalog.pg_locks
  where locktype operator(pg_catalog.=) 'advisory' and pid operator(pg_catalog.=) pg_catalog.pg_backend_pid())
 union all select 'state', 'temporary replication slots', '', '' where exists (select from pg_catalog.pg_replication_slots
  where temporary and active_pid operator(pg_catalog.=) pg_catalog.pg_backend_pid())
 union all select 'state', 'SET ROLE', '', '' where current_user operator(pg_catalog.<>) session_user
  or pg_catalog.current_setting('role') operator(pg_catalog.<>) 'none'
 union all select 'state', 'parameters that the role may not set itself', '', '' where exists (select from pg_catalog.pg_settings
  where source operator(pg_catalog.=) 'session' and context operator(pg_catalog.<>) 'user')
    and pg_catalog.current_setting('is_superuser') operator(pg_catalog.<>) 'on'
 union all select 'state', 'the parameter ' operator(pg_catalog.||) name operator(pg_catalog.||) ', set by a function', '', ''
  from (${setNames.join(' union ')}) found
  where pg_catalog.current_setting(name, true) operator(pg_catalog.<>) '' and not exists (select
    from pg_catalog.pg_db_role_setting d, pg_catalog.unnest(d.setconfig) c
    where c operator(pg_catalog.=) (name operator(pg_catalog.||) '=' operator(pg_catalog.||) pg_catalog.current_setting(name, true)))
 union all select 'state', 'parameters that are named by what calls the function ' operator(pg_catalog.||) own.oid::pg_catalog.regproc::pg_catalog.text, '', ''
  from own where pg_catalog.regexp_replace(own.text, ${quoted(local)}, '', 'gi') operator(pg_catalog.~*) ${quoted(computed)}
    and not exists (select from pg_catalog.pg_depend where classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
      and objid operator(pg_catalog.=) own.oid and deptype operator(pg_catalog.=) 'e')`;
