import { linked } from '../../core/abort.ts';
import { monotonicMs, raceAbort, sleep } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Holder } from './holders.ts';

/** For what ends soon by itself: a statement, and WAL on its way to the storage. */
const defaultPatienceMs = 3000;
const tickMs = 50;

interface Asked {
  readonly answer: PromiseWithResolvers<void>;
  readonly untilMs: number;
}

/** Lets others ask a compute to sleep at once, although it was used just now. */
export class SleepNow {
  readonly #patienceMs: number;
  #asked: Asked | null = null;
  #isAsleep = false;
  #isWatched = false;
  #hurry = (): void => {};

  constructor(patienceMs = defaultPatienceMs) {
    this.#patienceMs = patienceMs;
  }

  get isAsked(): boolean {
    return this.#asked !== null;
  }

  /** Resolves when it sleeps; the next client wakes it.
   *  @throws ComputeError `conflict` with what keeps it awake */
  async ask(signal: AbortSignal): Promise<void> {
    if (this.#isAsleep) return;
    if (!this.#isWatched)
      throw new ComputeError('conflict', 'it was started to never sleep, or has not started yet', {
        hint: 'start it again with: compute-local up --suspend-after 5min',
      });
    this.#asked ??= { answer: Promise.withResolvers(), untilMs: monotonicMs() + this.#patienceMs };
    const { promise } = this.#asked.answer;
    promise.catch(() => {});
    this.#hurry();
    await raceAbort(promise, signal);
  }

  /** Waits until the next look, which comes soon when somebody has asked. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const short = linked(signal);
    this.#isAsleep = false;
    this.#isWatched = true;
    this.#hurry = () => short.abort();
    try {
      await sleep(this.isAsked ? Math.min(ms, tickMs) : ms, short.signal);
    } catch {
      signal.throwIfAborted();
    } finally {
      this.#hurry = () => {};
      short.release();
    }
  }

  /** It stays awake. @param holders null: Postgres takes no connections */
  held(holders: readonly Holder[] | null): void {
    if (this.#asked === null || monotonicMs() < this.#asked.untilMs) return;
    this.#asked.answer.reject(whyAwake(holders));
    this.#asked = null;
  }

  asleep(): void {
    this.#isAsleep = true;
    this.#asked?.answer.resolve();
    this.#asked = null;
  }
}

function whyAwake(holders: readonly Holder[] | null): ComputeError {
  if (holders === null)
    return new ComputeError('conflict', 'it does not run yet', { hint: 'try again when it runs' });
  const who = holders.map(({ kind, who: one }) => `${kind}: ${one}`).join('; ');
  return new ComputeError(
    'conflict',
    `it cannot sleep now: ${who === '' ? 'a client uses it' : `it is kept awake by ${who}`}`,
    { hint: 'what it would lose is in the way: end that, then try again' },
  );
}
