import type { Client as PgClient } from 'pg';
import { within } from '../core/clock.ts';
import { ComputeError, inline } from '../core/errors.ts';
import { sqlStateOf } from '../core/server-words.ts';
import { isRaw, nameBytes } from './raw-name.ts';
import type { FrameLimits } from './server-frames.ts';
import { ServerStream } from './server-stream.ts';
import { type PgTarget, describeTarget } from './target.ts';

export type { PgClient };

export interface ConnectOptions {
  /** Shown in pg_stat_activity, e.g. `compute_ctl:apply_config`. */
  readonly applicationName: string;
  /** Milliseconds for connect and authentication together. */
  readonly connectMs: number;
  /** Milliseconds for each query, enforced here by destroying the connection, and by the server when it can. */
  readonly queryMs?: number;
  readonly database?: string;
  /** How much the server may send; `frameLimits` when left out. */
  readonly limits?: FrameLimits;
  readonly signal: AbortSignal;
}

/** Loads the driver on first use. Without a `navigator` the driver would load all of fetch to detect a worker runtime. */
export async function loadClient(): Promise<typeof PgClient> {
  (globalThis as { navigator?: unknown }).navigator ??= { userAgent: `Node.js/${process.versions.node}` };
  const { default: Client } = await import('pg/lib/client.js');
  return Client;
}

const over = new WeakSet<PgClient>();

/** Resolves when the connection has ended: at once if it has already. The driver's `end` comes only once, and can come in
 *  the same turn of the event loop as the answer to a query, before its caller goes on. */
export const ended = (client: PgClient): Promise<void> =>
  over.has(client) ? Promise.resolve() : new Promise((resolve) => client.once('end', () => resolve()));

/** Connects, or fails within `connectMs`. The caller owns the client and must `end()` it; an abort destroys its socket.
 *  Whatever the server sends, the driver collects no more than its limits allow, and throws nothing but rejections.
 *  @throws ComputeError `sql` that names the server, cause: the driver's error with its SQLSTATE in `code` */
export async function connectPg(target: PgTarget, options: ConnectOptions): Promise<PgClient> {
  const Client = await loadClient();
  options.signal.throwIfAborted();
  const database = options.database ?? target.database;
  const raw = isRaw(database) ? nameBytes(database) : null;
  const client = new Client({
    host: target.host,
    port: target.port,
    user: target.user,
    // A function: for an empty password the driver would look into the environment and files, and throw when it finds none.
    password: () => target.password?.reveal() ?? '',
    database,
    options: target.options,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectMs,
    stream: () => new ServerStream(target, options.limits, raw),
    // The stream encrypts.
    ssl: false,
    sslnegotiation: 'postgres',
    ...(options.queryMs === undefined ? {} : { query_timeout: options.queryMs }),
  });
  ignoreEnvironment(client, { ...target, database });
  const destroy = (): void => destroyPg(client);
  // Without a listener the driver throws when an idle connection breaks; the next query reports the error anyway. After
  // such an error the driver would only go on reading.
  client.on('error', destroy);
  options.signal.addEventListener('abort', destroy, { once: true });
  client.once('end', () => {
    over.add(client);
    options.signal.removeEventListener('abort', destroy);
  });
  try {
    await client.connect();
    count(target, database);
    options.signal.throwIfAborted();
    return client;
  } catch (error) {
    destroyPg(client);
    options.signal.throwIfAborted();
    throw refusedLogin({ ...target, database }, error);
  }
}

/** For each parameter that is empty or left out, the driver takes `PG` and its name from the environment (`PGOPTIONS`,
 *  `PGREPLICATION`), without a way to say that it must not. */
function ignoreEnvironment(client: PgClient, { user, database, options }: PgTarget): void {
  const { connectionParameters } = client as unknown as { connectionParameters: Record<string, unknown> };
  Object.assign(connectionParameters, { user, database, options, replication: undefined });
}

/** The SQLSTATE of a database that exists but cannot be used: it accepts no connections, or a DROP DATABASE was cut off, for
 *  which the server has a HINT. */
const closed = '55000';

function refusedLogin(target: PgTarget, cause: unknown): ComputeError {
  const message = `could not connect to ${describeTarget(target)}`;
  if (sqlState(cause) !== closed || (cause as { hint?: string }).hint !== undefined)
    return new ComputeError('sql', message, { cause });
  return new ComputeError('sql', `${message}: ${acceptsNone(target.database)}`, { cause, hint: acceptAgain });
}

/** The reason, where a database that accepts no connections is in the way. */
export const acceptsNone = (database: string): string =>
  `database ${JSON.stringify(database)} accepts no connections`;

export const acceptAgain = 'ALTER DATABASE … ALLOW_CONNECTIONS true lets it accept connections again';

/** The number of log-ins by this process, by server and database. */
const opened = new Map<string, Map<string, number>>();
const serverOf = ({ host, port }: PgTarget): string => `${host}:${port}`;

function count(target: PgTarget, database: string): void {
  const databases = opened.get(serverOf(target)) ?? new Map<string, number>();
  opened.set(serverOf(target), databases.set(database, (databases.get(database) ?? 0) + 1));
}

/** The number of sessions that this process has opened on the server so far, in all databases except those in `except`. */
export function sessionsOpened(target: PgTarget, except: readonly string[]): number {
  const databases = [...(opened.get(serverOf(target)) ?? [])];
  return databases.reduce((sum, [name, times]) => sum + (except.includes(name) ? 0 : times), 0);
}

/** Closes the socket at once, without waiting for the server, which may not answer any more. */
export function destroyPg(client: PgClient): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/** Sends Terminate and closes the socket, without waiting for the server: for callers that connect often. */
export function hangUpPg(client: PgClient): void {
  void client.end().catch(() => {});
  destroyPg(client);
}

/** Milliseconds for the server to close a connection after our goodbye. */
const farewellMs = 1000;

/** Connects, runs `work` and always closes the connection: politely after success (at most 1000 ms), by force after a
 *  failure. */
export async function withPg<T>(
  target: PgTarget,
  options: ConnectOptions,
  work: (client: PgClient) => Promise<T>,
): Promise<T> {
  const client = await connectPg(target, options);
  try {
    const result = await work(client);
    const closed = client.end().then(() => true);
    if ((await within(closed, farewellMs, options.signal)) === null) destroyPg(client);
    return result;
  } catch (error) {
    destroyPg(client);
    throw error;
  }
}

/** SQLSTATE of a server error anywhere in the chain of causes, null when there is none. */
export function sqlState(error: unknown): string | null {
  for (let current = error; current instanceof Error; current = current.cause) {
    const state = sqlStateOf(current);
    if (state !== null) return state;
  }
  return null;
}

export const sqlFailure = (what: string, error: unknown): ComputeError =>
  new ComputeError(
    'sql',
    `${what} failed${sqlState(error) === null ? '' : ` with SQLSTATE ${sqlState(error)}`}`,
    {
      cause: error instanceof Error ? error : new Error(inline(error)),
    },
  );
