import { monotonicMs } from '../../core/clock.ts';
import { identify } from '../../process/identity.ts';
import type { Outcome } from '../next/events.ts';
import type { Front } from './front.ts';
import type { Holder, Limits } from './holders.ts';
import { writeNote } from './note.ts';
import type { Counted } from './sleeper.ts';

/** What only changes by the clock is written this often. */
const writeMs = 5000;

/** Writes for `status` what has changed. */
export class Noted {
  readonly #path: string;
  readonly #limits: Limits;
  readonly #front: Front;
  readonly #own = identify(process.pid);
  #counted: Counted = { suspends: 0, wakes: 0, wokenBy: null, lastWakeMs: null };
  #holders: readonly Holder[] = [];
  #next: Outcome | null = null;
  #last = '';
  #lastMs = 0;

  constructor(path: string, limits: Limits, front: Front) {
    this.#path = path;
    this.#limits = limits;
    this.#front = front;
  }

  slept(counted: Counted, holders: readonly Holder[]): void {
    this.#counted = counted;
    this.#holders = holders;
    this.#write();
  }

  prepared(next: Outcome): void {
    this.#next = next;
    this.#write();
  }

  #write(): void {
    const { suspends, wakes, wokenBy, lastWakeMs } = this.#counted;
    const { suspendAfterMs, hardAfterMs } = this.#limits;
    const { sessions, ended } = this.#front;
    const who = this.#holders.map((one) => one.who);
    const key = JSON.stringify([this.#counted, sessions.length, ended, who, this.#next]);
    if (this.#own === null || (key === this.#last && monotonicMs() - this.#lastMs < writeMs)) return;
    [this.#last, this.#lastMs] = [key, monotonicMs()];
    writeNote(this.#path, {
      ...this.#own,
      suspend_after_ms: suspendAfterMs,
      suspend_hard_after_ms: hardAfterMs === Infinity ? null : hardAfterMs,
      kept_awake_by: this.#holders.map(({ kind, who: name, sinceMs }) => ({
        kind,
        who: name,
        since: new Date(Date.now() - sinceMs).toISOString(),
      })),
      suspends,
      wakes,
      ended_sessions: ended,
      clients: sessions.length,
      woken_by: wokenBy,
      last_wake_ms: lastWakeMs,
      next: this.#next,
    });
  }
}
