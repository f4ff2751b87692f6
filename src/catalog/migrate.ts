import type { Migration } from './migration.ts';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { fromFile, integer, literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { endingStrangers } from './evict.ts';
import { endEarlier, inTurn } from './in-turn.ts';
import { type MigrationState, after, prepare, record } from './migration-state.ts';
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
  state: MigrationState,
  { log, signal, failAt }: MigrationDeps,
): Promise<{ ran: boolean; state: MigrationState }> {
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
