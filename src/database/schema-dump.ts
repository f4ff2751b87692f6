import { Readable } from 'node:stream';
import { linked } from '../core/abort.ts';
import { alarm, raceAbort, tookTooLong } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { nameFault } from '../core/sql.ts';
import { libpqArguments, libpqEnvironment, withoutLibpq } from '../pg/libpq-write.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { type Exit, type RunningProcess, startProcess } from '../process/process.ts';
import { withOwnPg } from './own-sql.ts';
import type { OwnPostgres } from './settings.ts';

const limits = { dumps: 4, dumpMs: 600_000, lookMs: 10_000 };

/** Schema dumps by `pg_dump`, a few at a time and each within ten minutes. */
export class SchemaDumps {
  readonly #settings: Omit<OwnPostgres, 'pgdata'>;
  readonly #log: Log;
  #running = 0;

  constructor(settings: Omit<OwnPostgres, 'pgdata'>, log: Log) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Starts a dump; resolves when the first bytes have arrived. The stream fails when `pg_dump` fails, and reads only as
   *  fast as its reader. Destroying the stream, or `signal`, ends `pg_dump`.
   *  @throws ComputeError `not_found` without such a database, `busy`, `internal` when `pg_dump` fails at once */
  async dump(database: string, signal: AbortSignal): Promise<Readable> {
    if (nameFault(database) !== null) throw noDatabase();
    if (this.#running >= limits.dumps) {
      throw new ComputeError('busy', `${limits.dumps} dumps are already running`);
    }
    this.#running++;
    const child = await this.#start(database).catch((error: unknown) => {
      this.#running--;
      throw failed(error);
    });
    const limited = linked(signal);
    const all = limited.signal;
    const cancel = alarm(limits.dumpMs, () => limited.abort(failed(tookTooLong('pg_dump', limits.dumpMs))));
    const kill = (): void => void child.kill('SIGKILL', { group: true });
    all.addEventListener('abort', kill, { once: true });
    void child.exited.finally(() => {
      this.#running--;
      all.removeEventListener('abort', kill);
      cancel();
      limited.release();
    });
    if (all.aborted) kill();
    // Read by one reader from the beginning: unread output is lost when the program exits.
    const chunks = (child.stdout as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const first = await raceAbort(chunks.next(), all).catch((error: unknown) => {
      kill();
      throw error;
    });
    if (first.done === true) return this.#nothingCame(await child.closed, database, signal);
    return this.#stream(child, first, chunks, kill);
  }

  #start(database: string): Promise<RunningProcess> {
    const { target, bin, runAs, env } = this.#settings;
    return startProcess({
      command: bin.sibling('pg_dump'),
      args: ['--schema-only', ...libpqArguments(target)],
      env: dumpEnvironment(env, target, database),
      cwd: '/',
      runAs,
      detached: true,
      onStderrLine: (line) => this.#log.warn(`pg_dump: ${line}`),
    });
  }

  async #nothingCame(exit: Exit, database: string, signal: AbortSignal): Promise<never> {
    this.#log.warn({ ...exit }, 'pg_dump wrote nothing');
    // pg_dump's own message is in the server's language.
    const { target } = this.#settings;
    const session = { target, name: 'get_database_schema', statementMs: limits.lookMs, readOnly: true };
    const query = 'select 1 from pg_catalog.pg_database where datname = $1';
    const there = await withOwnPg(session, signal, (pg) => pg.query(query, [database])).catch(failOver);
    throw there.rowCount === 0 ? noDatabase() : failed();
  }

  #stream(
    child: RunningProcess,
    first: IteratorResult<Buffer>,
    chunks: AsyncIterator<Buffer>,
    kill: () => void,
  ): Readable {
    let next: Promise<IteratorResult<Buffer>> | undefined = Promise.resolve(first);
    const piece = async (): Promise<Buffer | null> => {
      const { done, value } = await (next ?? chunks.next());
      next = undefined;
      if (done !== true) return value;
      const { code, signal } = await child.closed;
      if (code === 0 || stream.destroyed) return null;
      this.#log.error({ code, signal }, 'pg_dump failed in the middle of a dump: the answer is incomplete');
      throw failed();
    };
    const stream = new Readable({
      read: () =>
        void piece().then(
          (found) => stream.push(found),
          (error: Error) => stream.destroy(error),
        ),
      destroy(error, done) {
        kill();
        done(error);
      },
    });
    return stream;
  }
}

/** Our settings for the session, and messages in English. */
function dumpEnvironment(env: NodeJS.ProcessEnv, target: PgTarget, database: string): NodeJS.ProcessEnv {
  const { LC_ALL: _, ...own } = withoutLibpq(env);
  return {
    ...own,
    ...libpqEnvironment(ownSession(target), database),
    PGAPPNAME: 'compute_ctl:get_database_schema',
    PGCONNECT_TIMEOUT: '10',
    LC_MESSAGES: 'C',
  };
}

const noDatabase = (): ComputeError => new ComputeError('not_found', 'database does not exist');
const failed = (cause?: unknown): ComputeError =>
  new ComputeError('internal', 'failed to execute pg_dump', { cause });
const failOver = (error: unknown): never => {
  throw failed(error);
};
