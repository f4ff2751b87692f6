import type { Migration } from './migration.ts';
import { ComputeError } from '../core/errors.ts';
import { type Sql, ident, literal, sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { sendTransaction } from './send.ts';

/** How far the migrations of a cluster have come. */
export interface MigrationState {
  /** The id of the last one; 0 before the first. */
  readonly current: number;
  /** Ids of those that wait for a newer PostgreSQL. */
  readonly deferred: readonly number[];
  /** Major version of the server. */
  readonly version: number;
}

/** The state once this migration is done, or deferred. */
export const after = (state: MigrationState, { id }: Migration, deferred: boolean): MigrationState => ({
  ...state,
  current: Math.max(state.current, id),
  deferred: [...state.deferred.filter((one) => one !== id), ...(deferred ? [id] : [])],
});

/** Members of `pg_write_all_data` can write to the tables, which are there because the original reads them. So we go by the
 *  comment on one of them, which only its owner can change. */
export const record = ({ current, deferred }: Pick<MigrationState, 'current' | 'deferred'>): Sql =>
  sql`comment on table neon_migration.migration_id is ${literal(`migrations: ${[current, ...deferred].join(' ')}`)}`;

/** Null for a comment of somebody else, or none. */
function recorded(comment: string | null): Pick<MigrationState, 'current' | 'deferred'> | null {
  const numbers = /^migrations: (\d{1,6}(?: \d{1,6})*)$/
    .exec(comment ?? '')?.[1]
    ?.split(' ')
    .map(Number);
  if (numbers === undefined) return null;
  const [current = 0, ...deferred] = numbers;
  return { current, deferred };
}

/** Reads the state, and creates the bookkeeping where it is missing.
 *  @throws ComputeError `catalog` when it cannot be created, or cannot be trusted */
export async function prepare(
  client: PgClient,
  all: readonly Migration[],
  { target, signal }: { readonly target: PgTarget; readonly signal: AbortSignal },
): Promise<MigrationState> {
  const write = async (statements: readonly Sql[]): Promise<void> => {
    try {
      await sendTransaction(client, statements, signal);
    } catch (error) {
      throw new ComputeError('catalog', 'could not prepare the database to handle migrations', {
        cause: error,
      });
    }
  };
  const before = await read(client, all);
  if (before?.recorded === true) return before;
  if (before !== null) {
    // Left by the original, or by an earlier version: from now on the tables do not count.
    await write([record(before)]);
    return before;
  }
  const admin = ident(target.user);
  await write([
    sql`create schema if not exists neon_migration`,
    sql`alter schema neon_migration owner to ${admin}`,
    sql`revoke all privileges on schema neon_migration from public`,
    sql`create table if not exists neon_migration.migration_id (key pg_catalog.int4 not null primary key, id pg_catalog.int8 not null default 0)`,
    sql`insert into neon_migration.migration_id values (0, 0) on conflict do nothing`,
    sql`create table if not exists neon_migration.deferred (id pg_catalog.int8 primary key)`,
    record({ current: 0, deferred: [] }),
  ]);
  const created = await read(client, all);
  if (created === null)
    throw new ComputeError('catalog', 'the schema neon_migration is incomplete after it was created');
  return created;
}

/** More than any migration's id. */
const maxId = 1_000_000;

/** Null when a part of the bookkeeping is missing. Without a record of ours this reads the tables: only the rows that it
 *  requires, and it accepts only numbers that we could have written. */
async function read(
  client: PgClient,
  all: readonly Migration[],
): Promise<(MigrationState & { readonly recorded: boolean }) | null> {
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
