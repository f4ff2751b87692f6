import { ComputeError } from '../core/errors.ts';
import { ident, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import { type SessionOptions, closeSession, openSession } from './session.ts';

/** Exists in every cluster. */
const elsewhere = 'template1';
/** The database that initdb makes, which the spec can give to a user. Another one is not made up for a connection string
 *  that is wrong. */
const usual = 'postgres';
/** Bytes of the settings that are attached to the system database. Each log-in reads them: three seconds for 300 MB. */
const maxSettings = 1_000_000;

/** The database does not accept connections; it does not exist. */
const [closed, missing] = ['55000', '3D000'];

type Repair = (client: PgClient, name: string) => Promise<string | null>;

/** The owner of the system database may be a user: he can close, rename and drop it, and attach settings to it that take
 *  longer to read than a log-in may. Repairs what kept us out, from another database.
 *  @returns what it did; null when there was nothing to do
 *  @throws ComputeError `sql` */
export async function repairSystemDatabase(
  options: SessionOptions,
  refused: unknown,
): Promise<string | null> {
  const repair = repairFor(sqlState(refused), options.target.database);
  if (repair === null) return null;
  const client = await openSession({ ...options, database: elsewhere }).catch(() => {
    options.signal.throwIfAborted();
    throw refused;
  });
  try {
    const done = await repair(client, options.target.database);
    closeSession(client);
    return done;
  } catch (cause) {
    destroyPg(client);
    options.signal.throwIfAborted();
    throw new ComputeError('sql', `could not repair database ${options.target.database}`, { cause });
  }
}

function repairFor(state: string | null, name: string): Repair | null {
  if (state === closed) return open;
  if (state === missing) return name === usual ? bringBack : null;
  // No answer from the server: it may be busy with our log-in.
  return state === null ? resetSettings : null;
}

const open: Repair = async (client, name) => {
  await client.query(sql`alter database ${ident(name)} allow_connections true`.reveal());
  return 'it did not accept connections; it does now';
};

/** Also for a database that can still be reached: others log in with shorter limits than a pass. */
export const resetSettings: Repair = async (client, name) => {
  const { rows } = await client.query({
    text: `select from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase
      where d.datname = $1::pg_catalog.name and s.setrole = 0 and $2::pg_catalog.int8 <
        (select pg_catalog.sum(pg_catalog.octet_length(c.one)) from pg_catalog.unnest(s.setconfig) as c (one))`,
    values: [name, maxSettings],
  });
  if (rows.length === 0) return null;
  await client.query(sql`alter database ${ident(name)} reset all`.reveal());
  return `more than ${maxSettings} bytes of settings were attached to it; they are removed`;
};

/** Under its new name it is still the one with an OID of initdb. */
const bringBack: Repair = async (client, name) => {
  const { rows } = await client.query<{ name: string }>(
    `select d.datname as name from pg_catalog.pg_database d where d.oid < 16384 and d.datname not in ('template0', 'template1')`,
  );
  const [renamed] = rows;
  if (renamed !== undefined && (await renameBack(client, renamed.name, name)))
    return `it was renamed to ${JSON.stringify(renamed.name)}; it has its name again`;
  await client.query(sql`create database ${ident(name)} template template0`.reveal());
  return 'it did not exist; it is created again, empty';
};

/** False when something uses it that cannot be ended here, such as a prepared transaction. */
async function renameBack(client: PgClient, from: string, name: string): Promise<boolean> {
  await client.query(sql`alter database ${ident(from)} allow_connections false`.reveal());
  await client.query({
    text: `select pg_catalog.pg_terminate_backend(a.pid, 5000) from pg_catalog.pg_stat_activity a where a.datname = $1::pg_catalog.name`,
    values: [from],
  });
  try {
    await client.query(sql`alter database ${ident(from)} rename to ${ident(name)}`.reveal());
    await client.query(sql`alter database ${ident(name)} allow_connections true`.reveal());
    return true;
  } catch (error) {
    if (sqlState(error) !== inUse) throw error;
    await client.query(sql`alter database ${ident(from)} allow_connections true`.reveal());
    return false;
  }
}

const inUse = '55006';
