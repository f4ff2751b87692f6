import { never } from '../core/abort.ts';
import { raceAbort, withDeadline } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { Queue } from '../core/queue.ts';
import { type Retry, retry } from '../core/retry.ts';
import { integer, sql } from '../core/sql.ts';
import { type PgClient, connectPg, destroyPg, sqlFailure, sqlState } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { floorToMib, inMib, mib } from './decisions.ts';

/** Milliseconds for one resize, including the connection and a second attempt; the agent waits for 5000. */
const resizeMs = 4000;
const connectMs = 2000;
const queryMs = 2000;

/** SQLSTATEs for a setting that is unknown or that this user may not change, with the log line for each. */
const withoutCache: Readonly<Record<string, string>> = {
  '42704': 'this Postgres has no file cache; the vm-monitor continues without it',
  '42501':
    'the user of the connection string may not resize the file cache (ALTER SYSTEM); the vm-monitor continues without it',
};

/** The login is not a superuser's, and may not pin all settings. */
const notSuperuser = '42501';

const readSizes =
  "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('neon.file_cache_size_limit'))::pg_catalog.text AS size, " +
  "pg_catalog.pg_size_bytes(pg_catalog.current_setting('neon.max_file_cache_size'))::pg_catalog.text AS most";

/** Resizes Postgres's local file cache, over one connection that is kept, and opened again after a loss. */
export class FileCache {
  readonly #target: PgTarget;
  readonly #log: Log;
  #client: PgClient | null = null;
  /** The reason why there is nothing to resize, once it was logged. */
  #absent: string | null = null;
  readonly #queue = new Queue(1);

  constructor(target: PgTarget, log: Log) {
    this.#target = target;
    this.#log = log;
  }

  /** Sets the file cache's size to `wantedBytes`, or to the server's limit if that is lower. Calls run one at a time.
   *  @returns the new size in bytes; null when this Postgres has no file cache, or its user may not resize it, which is
   *  logged once
   *  @throws ComputeError `sql`; `deadline` after 4000 ms */
  resize(wantedBytes: number, signal: AbortSignal): Promise<number | null> {
    return this.#queue.add(async () => {
      try {
        return await withDeadline('resizing the file cache', resizeMs, signal, (limited) =>
          this.#resize(wantedBytes, limited),
        );
      } catch (error) {
        this.#drop();
        throw error;
      }
    }, signal);
  }

  async close(): Promise<void> {
    await this.#queue.idle();
    this.#drop();
  }

  async #resize(wantedBytes: number, signal: AbortSignal): Promise<number | null> {
    const absent = (error: unknown): string | undefined => withoutCache[sqlState(error) ?? ''];
    const options = {
      what: 'resizing the file cache',
      attempts: 2,
      pauseMs: () => 0,
      retryable: (error: unknown) => absent(error) === undefined,
      onRetry: ({ error }: Retry) => {
        this.#log.info(`resizing the file cache failed, retrying on a new connection: ${explained(error)}`);
        this.#drop();
      },
    };
    try {
      return await retry((inTime) => this.#try(wantedBytes, inTime), options, signal);
    } catch (error) {
      const why = absent(error);
      if (signal.aborted || why === undefined) throw error;
      return this.#isAbsent(why);
    }
  }

  async #try(wantedBytes: number, signal: AbortSignal): Promise<number> {
    const client = (this.#client ??= await this.#connect(signal));
    const query = async (text: string) => (await raceAbort(client.query(text), signal)).rows as unknown[];
    try {
      const [sizes] = (await query(readSizes)) as { size: string; most: string }[];
      // The limit may be negative; the size may not.
      const bytes = Math.max(0, floorToMib(Math.min(wantedBytes, Number(sizes?.most))));
      await query(sql`ALTER SYSTEM SET neon.file_cache_size_limit = ${integer(bytes / mib)}`.reveal());
      await query('SELECT pg_catalog.pg_reload_conf()');
      this.#tell(Number(sizes?.size), bytes, wantedBytes);
      return bytes;
    } catch (error) {
      throw sqlFailure('resizing the file cache', error);
    }
  }

  #tell(before: number, now: number, wanted: number): void {
    this.#absent = null;
    const capped =
      now < floorToMib(wanted) ? `; requested were ${inMib(wanted)}, but this is the server's limit` : '';
    this.#log.info(`file cache resized from ${inMib(before)} to ${inMib(now)}${capped}`);
  }

  #isAbsent(why: string): null {
    if (this.#absent !== why) this.#log.warn(why);
    this.#absent = why;
    return null;
  }

  async #connect(signal: AbortSignal): Promise<PgClient> {
    // The connection outlives this call, so the call's signal must not end it later.
    const options = { applicationName: 'vm-monitor', connectMs, queryMs, signal: never };
    const login = (superuser: boolean): Promise<PgClient> =>
      connectPg(ownSession(this.#target, {}, { superuser }), options);
    const connecting = login(true).catch((error: unknown) => {
      if (sqlState(error) !== notSuperuser) throw error;
      return login(false);
    });
    try {
      return await raceAbort(connecting, signal);
    } catch (error) {
      void connecting.then(destroyPg, () => {});
      throw error;
    }
  }

  #drop(): void {
    if (this.#client !== null) destroyPg(this.#client);
    this.#client = null;
  }
}
