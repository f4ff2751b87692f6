import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { ident, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import { readFailure } from './result.ts';
import { type SessionOptions, closeSession, openSession } from './session.ts';

/** What the first superuser was called in the earliest clusters. */
const firstName = 'zenith_admin';
/** Wrong password, or no such role. */
const refusals: readonly (string | null)[] = ['28P01', '28000'];

/** A setting that we pin is for superusers alone. */
const notSuperuser = '42501';
/** The database does not accept connections. */
const closed = '55000';
/** Every cluster has it, and no spec gives it to a user. */
const otherDatabase = 'template1';

/** Opens the main connection of a pass. A system database that its owner closed is opened again. On a cluster that was initialised with another superuser, and so does not know
 *  ours, that one makes it first.
 *  @throws ComputeError `sql`, or `catalog` when our login is not a superuser */
export async function openMainSession(options: SessionOptions, log: Log): Promise<PgClient> {
  try {
    return await openSession(options);
  } catch (error) {
    if (sqlState(error) === notSuperuser) throw readFailure('observe', options.target.database, error);
    if (sqlState(error) === closed) {
      await acceptConnections(options, error);
      log.warn(`database ${JSON.stringify(options.target.database)} did not accept connections; it does now`);
      return openSession(options);
    }
    if (!refusals.includes(sqlState(error)) || options.target.user === firstName) throw error;
    await makeSuperuser(options, error);
    log.warn(`made the superuser ${options.target.user}: this cluster only had ${firstName}`);
    return openSession(options);
  }
}

async function acceptConnections(options: SessionOptions, refused: unknown): Promise<void> {
  const client = await openSession({ ...options, database: otherDatabase }).catch(() => {
    options.signal.throwIfAborted();
    throw refused;
  });
  try {
    await client.query(sql`alter database ${ident(options.target.database)} allow_connections true`.reveal());
    closeSession(client);
  } catch (cause) {
    destroyPg(client);
    options.signal.throwIfAborted();
    throw new ComputeError('sql', `could not open database ${options.target.database}`, { cause });
  }
}

async function makeSuperuser(options: SessionOptions, refused: unknown): Promise<void> {
  const { target } = options;
  // Without the options of the connection string, which name the role that is missing.
  const first = { ...options, target: { ...target, user: firstName, options: '' } };
  const client = await openSession(first).catch((error: unknown) => {
    options.signal.throwIfAborted();
    // Where the other does not exist either, what counts is why ours was refused.
    throw new ComputeError('sql', `broken ${target.user} credential`, {
      cause: refusals.includes(sqlState(error)) ? refused : error,
      hint: `neither ${target.user} nor ${firstName} can log in: look at pg_hba.conf and at the roles of the cluster`,
    });
  });
  try {
    const role = ident(target.user);
    // Both or none.
    const both = sql`create role ${role} with login superuser; grant ${ident(firstName)} to ${role}`;
    await client.query(both.reveal());
    closeSession(client);
  } catch (cause) {
    destroyPg(client);
    options.signal.throwIfAborted();
    throw new ComputeError('sql', `apply_config setup ${target.user}`, { cause });
  }
}
