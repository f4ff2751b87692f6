import type { Report } from '../report.ts';
import type { Asleep } from './model.ts';

const most = 200;

/** When a compute has slept since its `up` began: also while nobody looked. */
export class SleepTimes {
  /** Whether it sleeps at all. */
  canSleep = false;
  #all: readonly Asleep[] = [];

  /** The newest last. */
  get all(): readonly Asleep[] {
    return this.#all;
  }

  /** Passes everything on, and notes what is about sleep. */
  noting(report: Report): Report {
    return {
      progress: (what, done) => report.progress(what, done),
      event: (event, fields, text) => {
        this.#note(event, fields['by'], fields['ms']);
        report.event(event, fields, text);
      },
    };
  }

  #note(event: string, by: unknown, ms: unknown): void {
    const at = new Date().toISOString();
    const last = this.#all.at(-1);
    if (event === 'suspending')
      this.#all = [...this.#all, { from: at, to: null, wokenBy: null, wakeMs: null }].slice(-most);
    else if (last === undefined) return;
    else if (event === 'waking') this.#change(last, { to: at, wokenBy: typeof by === 'string' ? by : null });
    else if (event === 'woken') this.#change(last, { wakeMs: typeof ms === 'number' ? ms : null });
    else if (event === 'stopping' && last.to === null) this.#change(last, { to: at });
  }

  #change(last: Asleep, changes: Partial<Asleep>): void {
    this.#all = [...this.#all.slice(0, -1), { ...last, ...changes }];
  }
}
