import { type Linked, linked } from '../core/abort.ts';
import { alarm } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';

/** Ends a start that does not get to `running` in time after it has begun to start Postgres: such a Postgres may talk to the wrong
 *  storage, and only a new process asks for the newest spec. What comes before has limits of its own. */
export class InitTimeout {
  readonly #limitMs: number | null;
  readonly #linked: Linked;
  #cancel = (): void => {};

  /** @param limitMs null: no limit. @param outer aborts, too */
  constructor(limitMs: number | null, outer: AbortSignal) {
    this.#limitMs = limitMs;
    this.#linked = linked(outer);
  }

  /** Aborts with a ComputeError `deadline` when the time is up. */
  get signal(): AbortSignal {
    return this.#linked.signal;
  }

  /** To be called when a step of the start begins. */
  began(step: string): void {
    const ms = this.#limitMs;
    if (step !== 'start-postgres' || ms === null) return;
    const message = `compute did not enter Running state in ${ms / 1000} seconds, exiting`;
    this.#cancel = alarm(ms, () => this.#linked.abort(new ComputeError('deadline', message)));
  }

  end(): void {
    this.#cancel();
    this.#linked.release();
  }
}
