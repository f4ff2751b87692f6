import type { Migration } from './migration.ts';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Sql, fromFile, ident, integer, literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { endingStrangers } from './evict.ts';
import { endEarlier, inTurn } from './in-turn.ts';
import { SendFailure, sendTransaction } from './send.ts';
import {
  type CatalogLimits,
  type SessionOptions,
  closeSession,
  defaultLimits,
  openSession,
} from './session.ts';

export interface MigrationDeps {
  readonly target: PgTarget;
  readonly privilegedRole: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly limits?: Partial<CatalogLimits>;
  /** For tests of the failure: the bookkeeping of this migration fails after its own statements ran. */
  readonly failAt?: number | null;
}

export interface MigrationResult {
  /** Ids that ran now, in order. */
  readonly ran: readonly number[];
  /** Id of the last migration that is done, or counts as done, in this cluster. */
  readonly current: number;
}

/** A migration that was rolled back; the next start tries it again. */
export class MigrationFailure extends ComputeError {
  readonly migrationId: number;

  constructor(migration: Migration, cause: unknown) {
    const state = sqlState(cause);
    const how = state === null ? '' : ` with SQLSTATE ${state}`;
    super('catalog', `migration ${migration.name} failed${how} and was rolled back`, { cause });
    this.migrationId = migration.id;
  }
}

const applicationName = 'compute_ctl:migrations';

/** Runs the migrations that this cluster has not had yet, each in a transaction with its bookkeeping. A migration that
 *  requires a newer PostgreSQL is deferred and runs after an upgrade. Sends no write when there is nothing to run.
 *  @throws MigrationFailure   @throws ComputeError `catalog` when the bookkeeping cannot be trusted */
export async function migrate(all: readonly Migration[], deps: MigrationDeps): Promise<MigrationResult> {
  const limits = { ...defaultLimits, ...deps.limits };
  return withDeadline('the migrations', limits.overallMs, deps.signal, (signal) =>
    inTurn(applicationName, deps.target, signal, () =>
      runOnce(all, { ...deps, limits, signal, applicationName }),
    ),
  );
}

async function runOnce(
  all: readonly Migration[],
  own: MigrationDeps & SessionOptions,
): Promise<MigrationResult> {
  const client = await openSession(own);
  try {
    await endEarlier(client, own);
    const result = await endingStrangers(client, own, () => runAll(client, all, own));
    closeSession(client);
    return result;
  } catch (error) {
    destroyPg(client);
    own.signal.throwIfAborted();
    throw error;
  }
}

async function runAll(
  client: PgClient,
  all: readonly Migration[],
  deps: MigrationDeps,
): Promise<MigrationResult> {
  const before = await prepare(client, all, deps);
  const { current, deferred, version } = before;
  const role = sql`select pg_catalog.set_config('compute_ctl.privileged_role', ${literal(deps.privilegedRole)}, false)`;
  await client.query(role.reveal());
  const due = all.filter(({ id, needs }) => id > current || (deferred.includes(id) && version >= needs));
  const ran: number[] = [];
  let state = before;
  for (const migration of due) {
    const done = await runOne(client, migration, state, deps);
    if (done.ran) ran.push(migration.id);
    state = done.state;
  }
  return { ran, current: Math.max(current, ...all.map(({ id }) => id)) };
}

/** Also returns the state after it, and whether it ran: it may be skipped or deferred. */
async function runOne(
  client: PgClient,
  migration: Migration,
  state: State,
  { log, signal, failAt }: MigrationDeps,
): Promise<{ ran: boolean; state: State }> {
  const { id, name, text, skip, needs } = migration;
  const later = state.version < needs;
  if (skip) log.info(`Skipping migration id=${id}`);
  else if (later)
    log.info({ migration: name }, `Deferring migration id=${id}, which requires a newer PostgreSQL`);
  else log.info({ migration: name }, `Running migration id=${id}`);
  const runs = !skip && !later;
  const forget = sql`delete from neon_migration.deferred where id = ${integer(id)}`;
  const defer = sql`insert into neon_migration.deferred values (${integer(id)}) on conflict do nothing`;
  const count = sql`insert into neon_migration.migration_id values (0, ${integer(id)}) on conflict (key) do update set id = excluded.id`;
  const next = after(state, migration, later && !skip);
  const fault = sql`select 1 / 0`;
  try {
    await sendTransaction(
      client,
      [
        ...(runs ? [fromFile(text)] : []),
        ...(failAt === id ? [fault] : []),
        ...(id > state.current ? [count, ...(later && !skip ? [defer] : [])] : [forget]),
        record(next),
      ],
      signal,
    );
  } catch (error) {
    throw new MigrationFailure(migration, error instanceof SendFailure ? error.cause : error);
  }
  if (runs) log.info(`Finished migration id=${id}`);
  return { ran: runs, state: next };
}

/** The state once this migration is done, or deferred. */
const after = (state: State, { id }: Migration, deferred: boolean): State => ({
  ...state,
  current: Math.max(state.current, id),
  deferred: [...state.deferred.filter((one) => one !== id), ...(deferred ? [id] : [])],
});

interface State {
  readonly current: number;
  readonly deferred: readonly number[];
  /** Major version of the server. */
  readonly version: number;
}

/** Members of `pg_write_all_data` can write to the tables, which are there because the original reads them. So we go by the
 *  comment on one of them, which only its owner can change. */
const record = ({ current, deferred }: Pick<State, 'current' | 'deferred'>): Sql =>
  sql`comment on table neon_migration.migration_id is ${literal(`migrations: ${[current, ...deferred].join(' ')}`)}`;

/** Null for a comment of somebody else, or none. */
function recorded(comment: string | null): Pick<State, 'current' | 'deferred'> | null {
  const numbers = /^migrations: (\d{1,6}(?: \d{1,6})*)$/
    .exec(comment ?? '')?.[1]
    ?.split(' ')
    .map(Number);
  if (numbers === undefined) return null;
  const [current = 0, ...deferred] = numbers;
  return { current, deferred };
}

async function prepare(client: PgClient, all: readonly Migration[], deps: MigrationDeps): Promise<State> {
  const before = await read(client, all);
  if (before?.recorded === true) return before;
  if (before !== null) {
    // Left by the original, or by an earlier version: from now on the tables do not count.
    await sendTransaction(client, [record(before)], deps.signal);
    return before;
  }
  const admin = ident(deps.target.user);
  const statements = [
    sql`create schema if not exists neon_migration`,
    sql`alter schema neon_migration owner to ${admin}`,
    sql`revoke all privileges on schema neon_migration from public`,
    sql`create table if not exists neon_migration.migration_id (key pg_catalog.int4 not null primary key, id pg_catalog.int8 not null default 0)`,
    sql`insert into neon_migration.migration_id values (0, 0) on conflict do nothing`,
    sql`create table if not exists neon_migration.deferred (id pg_catalog.int8 primary key)`,
    record({ current: 0, deferred: [] }),
  ];
  try {
    await sendTransaction(client, statements, deps.signal);
  } catch (error) {
    throw new ComputeError('catalog', 'could not prepare the database to handle migrations', {
      cause: error,
    });
  }
  const after = await read(client, all);
  if (after === null)
    throw new ComputeError('catalog', 'the schema neon_migration is incomplete after it was created');
  return after;
}

/** More than any migration's id. */
const maxId = 1_000_000;

/** Null when a part of the bookkeeping is missing. Without a record of ours this reads the tables: only the rows that it
 *  requires, and it accepts only numbers that we could have written. */
async function read(
  client: PgClient,
  all: readonly Migration[],
): Promise<(State & { readonly recorded: boolean }) | null> {
  const { rows: owners } = await client.query<{
    version: number;
    tables: number;
    strangers: number;
    comment: string | null;
  }>(
    `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 as version,
       pg_catalog.count(*) filter (where c.relname in ('migration_id', 'deferred'))::pg_catalog.int4 as tables,
       pg_catalog.count(*) filter (where not o.rolsuper or not s.rolsuper)::pg_catalog.int4 as strangers,
       (select pg_catalog.left(x.description, 1000) from pg_catalog.pg_description x
        join pg_catalog.pg_class t on t.oid = x.objoid join pg_catalog.pg_namespace m on m.oid = t.relnamespace
        where x.classoid = 1259 and x.objsubid = 0 and m.nspname = 'neon_migration' and t.relname = 'migration_id') as comment
     from pg_catalog.pg_namespace n
     join pg_catalog.pg_authid s on s.oid = n.nspowner
     left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname in ('migration_id', 'deferred')
     left join pg_catalog.pg_authid o on o.oid = c.relowner
     where n.nspname = 'neon_migration'`,
  );
  const [row] = owners;
  if (row !== undefined && row.strangers > 0) {
    throw new ComputeError(
      'catalog',
      'schema "neon_migration", or a table in it, belongs to a role that is not a superuser',
      {
        hint: 'Its triggers would run as superuser. Drop or rename it, then start again.',
      },
    );
  }
  if (row?.tables !== 2) return null;
  const ours = recorded(row.comment);
  if (ours !== null) return { ...ours, version: row.version, recorded: true };
  const { rows } = await client.query<{ id: string | null; deferred: number[] | null }>({
    text: `select (select m.id::pg_catalog.text from neon_migration.migration_id m where m.key = 0 limit 1) as id,
       (select pg_catalog.array_agg(k.id) from pg_catalog.unnest($1::pg_catalog.int4[]) k (id)
        where exists (select from neon_migration.deferred d where d.id = k.id)) as deferred`,
    values: [all.map(({ id }) => id)],
  });
  const found = rows[0]?.id ?? null;
  if (found === null) return null;
  const current = Number(found);
  if (!(current >= 0 && current <= maxId)) {
    const message = `neon_migration.migration_id contains ${found}, which is not a migration's id`;
    const hint =
      'A user changed it. Set it to the id of the last migration, or to 0 to run all of them again.';
    throw new ComputeError('catalog', message, { hint });
  }
  return { current, deferred: rows[0]?.deferred ?? [], version: row.version, recorded: false };
}
