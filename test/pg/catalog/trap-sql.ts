/** SQL that fills a database with traps. Each writes `SPRUNG` into the server's log when it runs, which no rollback
 *  takes back. Made by a superuser, so that they are more than a user could lay. */

/** Schemas that a careless `search_path` could hold: the usual one, that of two apostrophes, that of the own name. */
const schemas = ['public', "''", 'cloud_admin'];

const each = (body: string): string => `
  foreach s in array array[${schemas.map((name) => `'${name.replaceAll("'", "''")}'`).join(', ')}] loop
    ${body}
  end loop;`;

const springing = (what: string): string =>
  `language plpgsql as $f$ begin raise log 'SPRUNG ${what}'; return null; end $f$`;

/** A function and an operator for every pair of types that our queries compare, beside those of PostgreSQL. */
const operators = `do $x$
declare s text; o record; n int := 0;
begin ${each(`
    for o in
      select distinct names.n as name, l.t as l, r.t as r, coalesce((
        select p.oprresult::regtype::text from pg_operator p where p.oprname = names.n and p.oprresult <> 0
          and p.oprleft = l.t::regtype and p.oprright = r.t::regtype limit 1), 'bool') as result
      from unnest(array['=', '<>', '<', '>', '<=', '>=', '||', '+', '-', '*', '/', '~']) names (n),
        unnest(array['name', 'text', 'varchar', 'oid', 'int4', 'int8', '"char"', 'bool', 'float8', 'timestamptz']) l (t),
        unnest(array['name', 'text', 'varchar', 'oid', 'int4', 'int8', '"char"', 'bool', 'float8', 'timestamptz']) r (t)
    loop
      n := n + 1;
      execute format('create function %I.o%s(pg_catalog.%s, pg_catalog.%s) returns %s language plpgsql as %L',
        s, n, o.l, o.r, o.result, format('begin raise log ''SPRUNG operator %s''; return null; end', o.name));
      execute format('create operator %I.%s (leftarg = pg_catalog.%s, rightarg = pg_catalog.%s, function = %I.o%s)',
        s, o.name, o.l, o.r, s, n);
    end loop;`)}
end $x$`;

/** Everything that PostgreSQL calls by name: functions, catalogs and views, types. */
const names = `do $x$
declare s text; o record;
begin ${each(`
    for o in
      select p.proname, pg_get_function_identity_arguments(p.oid) as args, format_type(p.prorettype, null) as result,
        p.proretset, p.provariadic
      from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
        and not exists (select from unnest(p.proargtypes::oid[] || p.prorettype) a join pg_type t on t.oid = a where t.typtype = 'p')
    loop
      begin
        execute format('create function %I.%I(%s) returns %s %s language plpgsql as %L', s, o.proname, o.args,
          case when o.proretset then 'setof' end, o.result, format('begin raise log ''SPRUNG function %s''; return null; end', o.proname));
      exception when others then null;
      end;
    end loop;
    for o in select c.relname from pg_class c where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') loop
      execute format('create view %I.%I as select public.sprung(%L) as oid', s, o.relname, 'view ' || o.relname);
    end loop;
    for o in select t.typname from pg_type t where t.typname in ('text', 'name', 'oid', 'int4', 'int8', 'bool', 'timestamptz',
        'regclass', 'regnamespace', 'regprocedure', 'json', 'record') and t.typtype = 'b' loop
      execute format('create domain %I.%I as pg_catalog.%I check (public.sprung(%L) is null)', s, o.typname, o.typname, 'domain ' || o.typname);
    end loop;`)}
end $x$`;

/** A type of a user with implicit casts from and to text. */
const casts = `
create type public.trap as (a pg_catalog.text);
create function public.trap_to_text(public.trap) returns pg_catalog.text ${springing('cast to text')};
create function public.text_to_trap(pg_catalog.text) returns public.trap ${springing('cast from text')};
create cast (public.trap as pg_catalog.text) with function public.trap_to_text(public.trap) as implicit;
create cast (pg_catalog.text as public.trap) with function public.text_to_trap(pg_catalog.text) as implicit`;

export const traps: readonly string[] = [
  `create schema "''"; create schema cloud_admin;
   create function public.sprung(what pg_catalog.text) returns pg_catalog.int4 language plpgsql as
     $f$ begin raise log 'SPRUNG %', what; return null; end $f$`,
  casts,
  operators,
  names,
];

/** Fires at every command that defines something, and from PostgreSQL 17 on at every log-in. */
export const eventTriggers = (major: number): string => {
  const events = ['ddl_command_start', 'ddl_command_end', 'sql_drop', ...(major >= 17 ? ['login'] : [])];
  return [
    `create function public.sprung_event() returns event_trigger language plpgsql as
       $f$ begin raise log 'SPRUNG event trigger'; end $f$`,
    ...events.map(
      (event) => `create event trigger "a_${event}" on ${event} execute function public.sprung_event()`,
    ),
  ].join(';');
};

/** A trigger, row security and a default on a table. */
export const onTable = (table: string, column: string, type: string): string => `
  create function public.sprung_row() returns trigger language plpgsql as $f$ begin raise log 'SPRUNG trigger'; return new; end $f$;
  create function public.sprung_value() returns ${type} ${springing('default')};
  create trigger a before insert or update or delete on ${table} for each row execute function public.sprung_row();
  alter table ${table} enable row level security, force row level security;
  create policy d on ${table} using (public.sprung('policy') is null);
  alter table ${table} alter ${column} set default public.sprung_value()`;
