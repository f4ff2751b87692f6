import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../core/clock.ts';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { literal, sql } from '../../core/sql.ts';
import { type PgClient, sqlState, withPg } from '../../pg/client.ts';
import { ownSession } from '../../pg/session-settings.ts';
import { socketLock, untilLocked } from './socket-lock.ts';
import type { Socket } from './tools.ts';
import { generationFile } from './files.ts';
import { readSmall } from '../../process/regular-file.ts';

export const slotName = 'compute_local';
/** The name in the compute's synchronous_standby_names. */
export const standbyName = 'compute_local';

/** The setting that stops writes. A transaction that asks for it may still write: BEGIN READ WRITE. */
export const readOnlySetting = 'default_transaction_read_only';

/** A running compute's data about itself. */
export interface ComputeIdentity {
  readonly systemId: string;
  /** Number of the base backup answer that it was created from; null when it is not from this storage. */
  readonly generation: number | null;
  /** The end of its WAL; null while it is in recovery. */
  readonly flushLsn: Lsn | null;
}

const quickMs = 5;
const slowMs = 50;
const quickForMs = 30_000;
const connectMs = 5000;

/** Waits until a server answers at the socket, and identifies it. The compute's first commits wait for this, so it checks
 *  often once there is a server; after half a minute in which that one does not answer, less often. */
export async function awaitCompute(server: Socket, signal: AbortSignal): Promise<ComputeIdentity> {
  const look = async (limited: AbortSignal): Promise<ComputeIdentity | 'gone' | null> => {
    if (isReady(server)) return identify(server, limited);
    return existsSync(socketLock(server)) ? null : 'gone';
  };
  for (;;) {
    await untilLocked(server, signal);
    const found =
      (await poll(look, { everyMs: quickMs, limitMs: quickForMs }, signal)) ??
      (await poll(look, { everyMs: slowMs, limitMs: Infinity }, signal));
    if (found !== null && found !== 'gone') return found;
  }
}

/** Follows the socket's lock file to the data directory, whose postmaster.pid has the postmaster's status: while it is not
 *  ready, a connection would be refused, with a FATAL line in its log.
 *  @see src/include/utils/pidfile.h of PostgreSQL for the lines of both files */
export function isReady(server: Socket): boolean {
  try {
    const [, dataDir = ''] = readSmall(socketLock(server)).split('\n');
    const status = readSmall(join(dataDir, 'postmaster.pid')).split('\n')[7];
    return status?.trim() === 'ready';
  } catch {
    return false;
  }
}

/** Null while the server starts or stops, or when there is none. */
export async function identify(server: Socket, signal: AbortSignal): Promise<ComputeIdentity | null> {
  try {
    return await withCompute(server, signal, async (pg) => {
      const { rows } = await pg.query<{ id: string; generation: string | null; lsn: string | null }>(
        sql`select system_identifier::pg_catalog.text as id,
                pg_catalog.pg_read_file(${literal(generationFile)}, 0, 20, true) as generation,
                case when not pg_catalog.pg_is_in_recovery()
                     then pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text end as lsn
           from pg_catalog.pg_control_system()`.reveal(),
      );
      const [row] = rows;
      if (row === undefined) return null;
      return {
        systemId: row.id,
        generation: row.generation === null ? null : Number(row.generation),
        flushLsn: row.lsn === null ? null : parseLsn(row.lsn),
      };
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const state = sqlState(error);
    // Any error except "not up yet" will probably repeat: wait longer before the next attempt.
    if (state !== null && state !== '57P03' && state !== '53300') await sleep(slowMs, signal);
    return null;
  }
}

/** A slot keeps the WAL that the storage does not have yet, also while the storage is down. */
export const ensureSlot = (server: Socket, signal: AbortSignal): Promise<void> =>
  withCompute(server, signal, async (pg) => {
    await pg.query(
      sql`select pg_catalog.pg_create_physical_replication_slot(${literal(slotName)}, true)
        where not exists (select from pg_catalog.pg_replication_slots where slot_name = ${literal(slotName)})`.reveal(),
    );
  });

/** Whether the compute's configuration file makes new transactions read-only. This session has its own value. */
export const writesAreStopped = (server: Socket, signal: AbortSignal): Promise<boolean> =>
  withCompute(server, signal, async (pg) => {
    const { rows } = await pg.query<{ setting: string }>(
      sql`select setting from pg_catalog.pg_file_settings
           where name = ${literal(readOnlySetting)} and applied`.reveal(),
    );
    return rows[0]?.setting === 'on';
  });

/** Writes a WAL record as soon as the receiver has caught up, if that is within `limitMs`. Replies that the receiver sent
 *  while it lagged do not count for commits. The next reply comes with new WAL, or a second later, and commits wait for it. */
export const giveReceiverSomething = (server: Socket, limitMs: number, signal: AbortSignal): Promise<void> =>
  withCompute(server, signal, async (pg) => {
    const streaming = sql`select from pg_catalog.pg_stat_replication
      where application_name = ${literal(standbyName)} and state = 'streaming'`.reveal();
    const streams = async (): Promise<true | null> =>
      (await pg.query(streaming)).rowCount === 0 ? null : true;
    if ((await poll(streams, { everyMs: quickMs, limitMs }, signal)) === null) return;
    // This statement itself must not wait for the receiver.
    await pg.query('set synchronous_commit = local');
    await pg.query(
      sql`select pg_catalog.pg_logical_emit_message(true, ${literal(standbyName)}, '')`.reveal(),
    );
  });

export function withCompute<T>(
  server: Socket,
  signal: AbortSignal,
  work: (pg: PgClient) => Promise<T>,
): Promise<T> {
  const target = {
    host: server.dir,
    port: server.port,
    user: 'cloud_admin',
    password: null,
    database: 'postgres',
    options: '-c statement_timeout=5s',
  };
  const options = { applicationName: 'compute_local_link', connectMs, queryMs: connectMs, signal };
  return withPg(ownSession(target), options, work);
}
