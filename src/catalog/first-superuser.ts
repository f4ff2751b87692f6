import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { ident, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import { readFailure } from './result.ts';
import { type SessionOptions, closeSession, openSession } from './session.ts';
import { repairSystemDatabase, resetSettings } from './system-database.ts';

/** The first superuser's name in the earliest clusters. */
const firstName = 'zenith_admin';
/** Wrong password, or no such role. */
const refusals: readonly (string | null)[] = ['28P01', '28000'];

/** Only a superuser may set what our sessions set. */
const notSuperuser = '42501';

/** Opens a pass's main connection. If the owner of the system database keeps us out of it, it is repaired.
 *  If the cluster was initialised with another superuser and does not have ours, the other one creates ours first.
 *  @throws ComputeError `sql`, or `catalog` when our login is not a superuser */
export async function openMainSession(options: SessionOptions, log: Log): Promise<PgClient> {
  const name = options.target.database;
  const tell = (repaired: string): void =>
    log.warn(`repaired the system database ${JSON.stringify(name)}: ${repaired}`);
  const client = await open(options, log, tell);
  try {
    const removed = await resetSettings(client, name);
    if (removed !== null) tell(removed);
    return client;
  } catch (error) {
    destroyPg(client);
    options.signal.throwIfAborted();
    throw readFailure('observe', name, error);
  }
}

async function open(options: SessionOptions, log: Log, tell: (repaired: string) => void): Promise<PgClient> {
  try {
    return await openSession(options);
  } catch (error) {
    if (sqlState(error) === notSuperuser) throw readFailure('observe', options.target.database, error);
    const repaired = await repairSystemDatabase(options, error);
    if (repaired !== null) {
      tell(repaired);
      return openSession(options);
    }
    if (!refusals.includes(sqlState(error)) || options.target.user === firstName) throw error;
    await makeSuperuser(options, error);
    log.warn(`created the superuser ${options.target.user}: this cluster only had ${firstName}`);
    return openSession(options);
  }
}

async function makeSuperuser(options: SessionOptions, refused: unknown): Promise<void> {
  const { target } = options;
  // Without the connection string's options, which name the missing role.
  const first = { ...options, target: { ...target, user: firstName, options: '' } };
  const client = await openSession(first).catch((error: unknown) => {
    options.signal.throwIfAborted();
    // If the other does not exist either, the reason why ours was refused is the one to report.
    throw new ComputeError('sql', `broken ${target.user} credential`, {
      cause: refusals.includes(sqlState(error)) ? refused : error,
      hint: `neither ${target.user} nor ${firstName} can log in; check pg_hba.conf and the cluster's roles`,
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
