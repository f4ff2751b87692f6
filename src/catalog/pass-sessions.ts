import { monotonicMs, raceAbort, sleep } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { backoffMs } from '../core/retry.ts';
import { type PgClient, destroyPg, ended } from '../pg/client.ts';
import { fullPauses, isFull } from '../pg/full.ts';
import { type SessionOptions, closeSession, openSession } from './session.ts';

interface Options extends SessionOptions {
  readonly log?: Log;
}

/** The sessions of one pass. Where the server has no more connections, the pass goes on with fewer: work in databases
 *  waits for the end of other such work of the pass, and at last the sessions in the system database, which are idle
 *  meanwhile, give up their connections. So one connection is enough. */
export class PassSessions {
  readonly #options: Options;
  readonly #main: () => Promise<PgClient>;
  #system: PgClient[] = [];
  readonly #inDatabases = new Set<PgClient>();
  #told = false;

  /** @param main opens the main session */
  constructor(options: Options, main: () => Promise<PgClient>) {
    [this.#options, this.#main] = [options, main];
  }

  /** The session in the system database that has nothing to do while others work in databases. */
  get idle(): { readonly watcher?: PgClient } {
    const [watcher] = this.#system;
    return watcher === undefined ? {} : { watcher };
  }

  /** The main session; opened again where its connection was given up. @throws ComputeError */
  async main(): Promise<PgClient> {
    return (this.#system[0] ??= await this.#main());
  }

  /** Opens further sessions in the system database, as far as there are connections.
   *  @param wanted with the main session, 1 or more   @returns all of them, at most `wanted`   @throws ComputeError */
  async several(wanted: number): Promise<readonly PgClient[]> {
    await this.main();
    while (this.#system.length < wanted) {
      try {
        this.#system.push(await openSession({ ...this.#options, whenFull: 'fail' }));
      } catch (error) {
        if (!isFull(error)) throw error;
        this.#tell();
        break;
      }
    }
    return this.#system.slice(0, wanted);
  }

  /** Opens a session for work in a database. While it is open, only `idle` of the system database's sessions is used.
   *  @throws ComputeError */
  async inDatabase(options: SessionOptions): Promise<PgClient> {
    const { signal, limits } = options;
    let endMs = monotonicMs() + limits.lockMs;
    for (let failures = 1; ; failures++) {
      try {
        const client = await openSession({ ...options, whenFull: 'fail' });
        this.#inDatabases.add(client);
        void ended(client).then(() => this.#inDatabases.delete(client));
        return client;
      } catch (error) {
        if (!isFull(error)) throw error;
        this.#tell();
        const others = [...this.#inDatabases];
        if (others.length > 0) {
          await raceAbort(Promise.race(others.map(ended)), signal);
          // The others may take as long as they like.
          endMs = monotonicMs() + limits.lockMs;
          continue;
        }
        this.close();
        if (monotonicMs() > endMs) throw error;
      }
      await sleep(backoffMs(failures, fullPauses), signal);
    }
  }

  /** Closes the sessions in the system database. */
  close(): void {
    for (const client of this.#system.splice(0)) closeSession(client);
  }

  destroy(): void {
    for (const client of this.#system.splice(0)) destroyPg(client);
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.log?.warn('Postgres has no free connection: the catalog pass goes on with fewer');
  }
}
