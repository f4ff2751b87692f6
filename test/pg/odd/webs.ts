import * as fc from 'fast-check';
import { type PgClient, connectPg } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { never, query } from '../catalog/support.ts';

/** One random statement about rights: who tries it, where, and numbers that choose the rest. */
export interface Step {
  readonly database: number;
  /** Those who try it, in turn, until one may. */
  readonly actors: readonly number[];
  readonly kind: number;
  readonly object: number;
  readonly privilege: number;
  readonly role: number;
  readonly other: number;
  readonly option: boolean;
}

/** Number 0 is the one that goes, number 5 everybody or the superuser. */
export const roleCount = 5;

const role = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 5, arbitrary: fc.nat({ max: roleCount - 1 }) },
);

const oneStep = (kind: fc.Arbitrary<number>): fc.Arbitrary<Step> =>
  fc.record({
    database: fc.nat({ max: 2 }),
    actors: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 3 }),
    kind,
    object: fc.nat({ max: 11 }),
    privilege: fc.nat({ max: 6 }),
    role: fc.oneof({ weight: 9, arbitrary: role }, { weight: 1, arbitrary: fc.constant(roleCount) }),
    other: role,
    option: fc.boolean(),
  });

/** Mostly grants, some of the rest, and at the end what leaves grants without a grantor who may still make them. */
export const steps = fc
  .tuple(
    fc.array(oneStep(fc.oneof(fc.nat({ max: 7 }), fc.nat({ max: 19 }))), { minLength: 200, maxLength: 300 }),
    fc.array(oneStep(fc.integer({ min: 8, max: 19 })), { minLength: 10, maxLength: 40 }),
    fc.array(oneStep(fc.nat({ max: 8 })), { minLength: 0, maxLength: 60 }),
  )
  .map((parts) => parts.flat());

const objects: readonly { readonly on: string; readonly privileges: readonly string[] }[] = [
  {
    on: 'table S.t',
    privileges: ['select', 'insert', 'delete', 'truncate', 'trigger', 'references', 'maintain'],
  },
  { on: 'table S.t', privileges: ['select (a)', 'update (a)', 'select (b)', 'references (b)'] },
  { on: 'table S.u', privileges: ['select', 'update', 'all', 'select (a)'] },
  { on: 'sequence S.q', privileges: ['usage', 'select', 'update'] },
  { on: 'schema S', privileges: ['usage', 'create'] },
  { on: 'routine S.f(S.e)', privileges: ['execute'] },
  { on: 'type S.e', privileges: ['usage'] },
  { on: 'large object 4242', privileges: ['select', 'update'] },
  { on: 'foreign data wrapper w', privileges: ['usage'] },
  { on: 'foreign server s', privileges: ['usage'] },
  { on: 'language plpgsql', privileges: ['usage'] },
  { on: 'D', privileges: [] },
];
const shared = (prefix: string, major: number): typeof objects => [
  { on: `database ${prefix}a`, privileges: ['connect', 'create', 'temporary'] },
  { on: `tablespace ${prefix}t`, privileges: ['create'] },
  ...(major < 15 ? [] : [{ on: 'parameter work_mem', privileges: ['set', 'alter system'] }]),
];

const pick = <T>(list: readonly T[], number: number): T => list[number % list.length] as T;

export interface Statement {
  readonly actors: readonly string[];
  readonly text: string;
}

export function sqlOf(step: Step, prefix: string, major: number): Statement {
  const role = (number: number): string => (number >= roleCount ? 'public' : `${prefix}r${number}`);
  const actors = step.actors.map((actor) => (actor >= roleCount ? 'cloud_admin' : role(actor)));
  return { actors, text: text(step, prefix, major, role) };
}

function text(step: Step, prefix: string, major: number, role: (number: number) => string): string {
  const schema = `${prefix}s`;
  const chosen = pick(objects, step.object);
  const { on, privileges } = chosen.on === 'D' ? pick(shared(prefix, major), step.privilege) : chosen;
  const named = on.replaceAll('S', schema);
  const privilege = pick(privileges, step.privilege);
  const grantee = role(step.role);
  const other = role(step.other);
  switch (step.kind) {
    case 8:
      return `revoke ${step.option ? 'grant option for' : ''} ${privilege} on ${named} from ${grantee} cascade`;
    case 9:
    case 10:
      return `grant ${other} to ${grantee} ${step.option ? 'with admin option' : ''}`;
    case 11:
      return `revoke ${other} from ${grantee}`;
    case 12:
      return `alter ${named.replace('schema', 'schema')} owner to ${other}`;
    case 13:
      return `alter role ${other} ${step.option && step.privilege < 3 ? 'superuser' : 'nosuperuser'}`;
    case 14:
      return `alter default privileges for role ${other} ${step.privilege < 3 ? `in schema ${schema}` : ''}
        grant ${pick(['all on tables', 'usage on types', 'usage on sequences', 'execute on functions'], step.object)} to ${grantee}`;
    case 15:
      return `create policy p${step.object}${step.privilege} on ${schema}.t to ${grantee}, ${other}`;
    case 16:
      return `create user mapping for ${other} server s`;
    case 17:
      return step.option
        ? `create table ${schema}.n${step.object} (a int, b int)`
        : `create event trigger v${step.object} on ddl_command_end execute function ${schema}.v()`;
    case 18:
      return step.option
        ? `create publication p${step.object}`
        : `create publication p${step.object} for all tables`;
    case 19:
      return `alter role ${other} ${step.option ? 'inherit' : 'noinherit'}`;
    default:
      return `grant ${privilege} on ${named} to ${grantee} ${step.option || step.kind < 5 ? 'with grant option' : ''}`;
  }
}

/** Three databases (the system database among them) with one object of each kind. */
export async function setUp(target: PgTarget, prefix: string, databases: readonly string[]): Promise<void> {
  const roles = Array.from({ length: roleCount }, (_, at) => `create role ${prefix}r${at} createrole;`).join(
    ' ',
  );
  await query(target, roles);
  await query(target, `create tablespace ${prefix}t location ''`);
  for (const [at, database] of databases.entries())
    await query(target, `create database ${database} owner ${prefix}r${at + 1}`);
  const schema = `${prefix}s`;
  for (const database of [target.database, ...databases]) {
    await query(
      { ...target, database },
      `drop foreign data wrapper if exists w cascade; select lo_unlink(oid) from pg_largeobject_metadata where oid = 4242;
       do $x$ declare t name; begin
         for t in select evtname from pg_event_trigger loop execute format('drop event trigger %I', t); end loop;
         for t in select pubname from pg_publication loop execute format('drop publication %I', t); end loop;
       end $x$;
       create schema ${schema}; grant usage on schema ${schema} to public; create table ${schema}.t (a int, b int); insert into ${schema}.t values (1, 2);
       create table ${schema}.u (a serial, b int); create sequence ${schema}.q; create type ${schema}.e as enum ('x');
       create function ${schema}.f(${schema}.e) returns int language sql as 'select 1';
       create function ${schema}.v() returns event_trigger language plpgsql as 'begin end';
       select lo_create(4242); create foreign data wrapper w; create server s foreign data wrapper w`,
    );
  }
}

/** Runs the statements, each as the first of its actors who may, and goes on after those that nobody may. */
export async function attempt(
  target: PgTarget,
  statements: readonly (Statement & { readonly database: string })[],
): Promise<void> {
  const sessions = new Map<string, PgClient>();
  const open = async (database: string): Promise<PgClient> => {
    const options = { applicationName: 'test', connectMs: 10_000, database, signal: never };
    const client = sessions.get(database) ?? (await connectPg(target, options));
    sessions.set(database, client);
    return client;
  };
  try {
    for (const { database, actors, text: statement } of statements) {
      const session = await open(database);
      await session.query(`do $x$ declare actor text; begin
        foreach actor in array array[${actors.map((one) => `'${one}'`).join(', ')}] loop
          begin execute format('set local role %I', actor); execute $q$${statement}$q$; exit; exception when others then null; end;
        end loop; end $x$`);
    }
  } finally {
    await Promise.all([...sessions.values()].map((session) => session.end()));
  }
}
