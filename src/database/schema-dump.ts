import { Readable } from 'node:stream';
import { linked } from '../core/abort.ts';
import { alarm, raceAbort, tookTooLong } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { Queue } from '../core/queue.ts';
import { nameFault } from '../core/sql.ts';
import { acceptAgain, acceptsNone } from '../pg/client.ts';
import { libpqArguments, libpqEnvironment, withoutLibpq } from '../pg/libpq-write.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { type Exit, type RunningProcess, startProcess } from '../process/process.ts';
import { withOwnPg } from './own-sql.ts';
import type { OwnPostgres } from './settings.ts';

export const dumpLimits = {
  /** At a time. */
  dumps: 4,
  /** Requests that may wait for one of them to end. */
  waiting: 16,
  dumpMs: 600_000,
  /** Milliseconds that a reader may take nothing of a dump that has more for it. */
  stalledMs: 60_000,
  lookMs: 10_000,
};

/** Schema dumps by `pg_dump`, a few at a time and each within ten minutes. A few more wait for their turn. */
export class SchemaDumps {
  readonly #settings: Omit<OwnPostgres, 'pgdata'>;
  readonly #log: Log;
  readonly #limits: typeof dumpLimits;
  readonly #queue: Queue;

  constructor(settings: Omit<OwnPostgres, 'pgdata'>, log: Log, limits: Partial<typeof dumpLimits> = {}) {
    [this.#settings, this.#log, this.#limits] = [settings, log, { ...dumpLimits, ...limits }];
    this.#queue = new Queue(this.#limits.dumps);
  }

  /** Starts a dump when its turn comes; resolves when the first bytes have arrived. The stream fails when `pg_dump` fails,
   *  and reads only as fast as its reader. Destroying the stream, or `signal`, ends `pg_dump`, or the wait for it.
   *  @throws ComputeError `not_found` without such a database, `busy` when too many wait, `internal` when `pg_dump` fails
   *  at once */
  async dump(database: string, signal: AbortSignal): Promise<Readable> {
    if (nameFault(database) !== null) throw noDatabase();
    const { dumps, waiting } = this.#limits;
    if (this.#queue.size >= dumps + waiting) {
      throw new ComputeError('busy', `${dumps} dumps are already running and ${waiting} wait`);
    }
    return new Promise((resolve, reject) => {
      // The turn lasts until `pg_dump` has exited, longer than it takes to answer.
      this.#queue.add(() => this.#run(database, signal, resolve), signal).catch(reject);
    });
  }

  async #run(database: string, signal: AbortSignal, answer: (dump: Readable) => void): Promise<void> {
    const { dumpMs } = this.#limits;
    const child = await this.#start(database).catch(failOver);
    const limited = linked(signal);
    const all = limited.signal;
    const cancel = alarm(dumpMs, () => limited.abort(failed(tookTooLong('pg_dump', dumpMs))));
    const kill = (): void => void child.kill('SIGKILL', { group: true });
    all.addEventListener('abort', kill, { once: true });
    if (all.aborted) kill();
    try {
      // Read by one reader from the beginning: unread output is lost when the program exits.
      const chunks = (child.stdout as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const first = await raceAbort(chunks.next(), all);
      if (first.done === true) await this.#nothingCame(await child.closed, database, signal);
      answer(this.#stream(child, first, chunks, kill));
    } catch (error) {
      kill();
      throw error;
    } finally {
      await child.exited;
      all.removeEventListener('abort', kill);
      cancel();
      limited.release();
    }
  }

  #start(database: string): Promise<RunningProcess> {
    const { target, bin, env } = this.#settings;
    return startProcess({
      command: bin.sibling('pg_dump'),
      args: ['--schema-only', ...libpqArguments(target)],
      env: dumpEnvironment(env, target, database),
      cwd: '/',
      detached: true,
      onStderrLine: (line) => this.#log.warn(`pg_dump: ${line}`),
    });
  }

  async #nothingCame(exit: Exit, database: string, signal: AbortSignal): Promise<never> {
    this.#log.warn({ ...exit }, 'pg_dump wrote nothing');
    // pg_dump's own message is in the server's language.
    const { target } = this.#settings;
    const session = { target, name: 'get_database_schema', statementMs: this.#limits.lookMs, readOnly: true };
    const query = 'select datallowconn as open from pg_catalog.pg_database where datname = $1';
    const { rows } = await withOwnPg(session, signal, (pg) =>
      pg.query<{ open: boolean }>(query, [database]),
    ).catch(failOver);
    throw rows[0] === undefined ? noDatabase() : rows[0].open ? failed() : closed(database);
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
    const { stalledMs } = this.#limits;
    const stalled = (): void => {
      this.#log.warn('a dump was ended, because its reader took nothing of it');
      stream.destroy(failed(tookTooLong('the wait for the reader', stalledMs)));
    };
    let cancel = alarm(stalledMs, stalled);
    const passOn = (found: Buffer | null): boolean => {
      if (found !== null && !stream.destroyed) cancel = alarm(stalledMs, stalled);
      return stream.push(found);
    };
    const stream = new Readable({
      read: () => {
        cancel();
        piece().then(passOn, (error: Error) => stream.destroy(error));
      },
      destroy(error, done) {
        cancel();
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
const closed = (database: string): ComputeError =>
  new ComputeError('internal', `failed to execute pg_dump: ${acceptsNone(database)}`, { hint: acceptAgain });
const failOver = (error: unknown): never => {
  throw failed(error);
};
