import { run } from '../monitor/support.ts';
import type { PgTarget } from '../../../src/pg/target.ts';

/** Types that our queries compare and pass to functions. */
const types = `'{name,text,oid,int4,int8,bool,"char",float8,timestamptz,regclass,regtype,interval,_text,_aclitem,aclitem}'::pg_catalog.regtype[]`;

/** Says that it ran, and gives what a query can go on with. */
const sprung = `perform pg_catalog.nextval('trap.sprung'); return null;`;

/** Each operator and function of these types again in the schema `evil`, which comes first in the search path; types,
 *  tables and views by the names of the catalogs' as well. What cannot be made is left out. */
const everything = `do $$
declare each record; arguments text;
begin
  for each in select o.oprname, o.oprleft::pg_catalog.regtype::text as l, o.oprright::pg_catalog.regtype::text as r,
      o.oprresult::pg_catalog.regtype::text as result
      from pg_catalog.pg_operator o where o.oprleft = any (${types}) and o.oprright = any (${types})
        and o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace loop
    begin
      execute pg_catalog.format('create or replace function evil."op %s"(%s, %s) returns %s language plpgsql as %L',
        each.oprname, each.l, each.r, each.result, 'begin ${sprung.replaceAll("'", "''")} end');
      execute pg_catalog.format('create operator evil.%s (leftarg = %s, rightarg = %s, function = evil."op %s")',
        each.oprname, each.l, each.r, each.oprname);
    exception when others then null;
    end;
  end loop;
  for each in select p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
      case when p.proretset then 'setof ' else '' end || p.prorettype::pg_catalog.regtype::text as result, p.prokind, p.proretset
      from pg_catalog.pg_proc p where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.prokind in ('f', 'a')
        and (p.prorettype = any (${types}) or p.proname ~ '^(to_json|json_agg|json_build_object|format|count|sum|max|aclexplode)$') loop
    begin
      execute pg_catalog.format('create function evil.%I(%s) returns %s language plpgsql as %L',
        each.proname, each.arguments, each.result,
        case when each.proretset then 'begin ${sprung.replace('return null', 'return').replaceAll("'", "''")} end'
          else 'begin ${sprung.replaceAll("'", "''")} end' end);
    exception when others then null;
    end;
  end loop;
  for each in select c.relname from pg_catalog.pg_class c
      where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relkind in ('r', 'v') loop
    begin
      execute pg_catalog.format('create view evil.%I as select t.*, pg_catalog.nextval(''trap.sprung'') as sprung from pg_catalog.%I t',
      each.relname, each.relname);
    exception when others then null;
    end;
  end loop;
  foreach arguments in array '{text,name,oid,int4,bool,regclass,timestamptz}'::text[] loop
    execute pg_catalog.format('create domain evil.%I as pg_catalog.%I check (pg_catalog.nextval(''trap.sprung'') > 0)', arguments, arguments);
  end loop;
end $$`;

/** Settings that the owner of a database may attach to it, and that change how a session reads, writes or ends. */
const settings: readonly string[] = [
  'search_path = evil, public, pg_catalog',
  'role = tenant',
  `local_preload_libraries = 'nosuch'`,
  'statement_timeout = 1',
  'idle_session_timeout = 1',
  'idle_in_transaction_session_timeout = 1',
  'lock_timeout = 1',
  'default_transaction_read_only = on',
  `default_transaction_isolation = 'serializable'`,
  `client_encoding = 'LATIN1'`,
  `DateStyle = 'German, DMY'`,
  `IntervalStyle = 'sql_standard'`,
  `bytea_output = 'escape'`,
  'transform_null_equals = on',
  'standard_conforming_strings = off',
  'row_security = on',
  `client_min_messages = 'debug5'`,
];

/** Fills a database with what a user can put there, so that it runs when one of our queries finds it.
 *  @param major that of the server */
export async function setTraps(target: PgTarget, database: string, major: number): Promise<void> {
  const there = { ...target, database };
  await run(
    there,
    'create schema trap; create sequence trap.sprung; grant usage on schema trap to public; grant all on trap.sprung to public',
    'create schema evil; grant all on schema evil to public',
    everything,
    `create type evil.thing as (a int); create function evil.as_text(evil.thing) returns text language plpgsql as
      $$ begin perform pg_catalog.nextval('trap.sprung'); return ''; end $$`,
    'create cast (evil.thing as text) with function evil.as_text(evil.thing) as implicit',
    `create function trap.event() returns event_trigger language plpgsql as
      $$ begin perform pg_catalog.nextval('trap.sprung'); end $$`,
    'create event trigger at_start on ddl_command_start execute function trap.event()',
    'create event trigger at_end on ddl_command_end execute function trap.event()',
  );
  if (major >= 17) {
    await run(
      there,
      'create event trigger at_login on login execute function trap.event(); alter event trigger at_login enable always',
      'alter event trigger at_end enable always',
    );
  }
  const all = major >= 17 ? [...settings, 'transaction_timeout = 1', 'event_triggers = on'] : settings;
  for (const setting of all)
    await run({ ...target, database: 'template1' }, `alter database "${database}" set ${setting}`);
}
