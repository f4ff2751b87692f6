import { elapsedMs, monotonicMs } from '../core/clock.ts';
import type { CatalogLimits } from './session.ts';

/** What every session gets, in milliseconds, however much was lost before. */
const leastMs = { connectMs: 2000, lockMs: 1000, statementMs: 10_000 };

/** The limits for sessions in users' databases. What databases that fail have used up is taken from the limits of those
 *  that come after them: otherwise twenty with a locked table would use up the time of the whole pass. */
export class DatabaseLimits {
  readonly #limits: CatalogLimits;
  #lostMs = 0;

  constructor(limits: CatalogLimits) {
    this.#limits = limits;
  }

  /** The limits for a session that begins now. */
  get limits(): CatalogLimits {
    const left = (name: keyof typeof leastMs): number =>
      Math.min(this.#limits[name], Math.max(leastMs[name], this.#limits[name] - this.#lostMs));
    return {
      ...this.#limits,
      connectMs: left('connectMs'),
      lockMs: left('lockMs'),
      statementMs: left('statementMs'),
    };
  }

  /** Runs one database's work. @throws what it throws */
  async spend<T>(work: () => Promise<T>): Promise<T> {
    const startMs = monotonicMs();
    try {
      return await work();
    } catch (error) {
      this.#lostMs += elapsedMs(startMs);
      throw error;
    }
  }
}
