import type { PgTarget } from '../../src/pg/target.ts';
import { queryLocal } from './local.ts';

const side = 3;

/** Rows with numbers of their own, and which of their commits were acknowledged. */
export class Writers {
  acknowledged = new Set<number>();
  /** Of all commits that were acknowledged, also before a reset. */
  total = 0;
  #count = 0;
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();

  /** @param before SQL in the same transaction */
  async commit(to: PgTarget, before = 'select'): Promise<true> {
    const n = ++this.#count;
    await queryLocal(to, `${before}; insert into t values (${n})`);
    this.acknowledged.add(n);
    this.total++;
    return true;
  }

  /** Several at once, until `stop`. One that fails goes on: it may have been killed. */
  start(to: PgTarget): void {
    this.#stopping = false;
    const write = async (): Promise<void> => {
      while (!this.#stopping)
        await this.commit(to).catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
    };
    this.#running = Promise.all(Array.from({ length: side }, write));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }
}
