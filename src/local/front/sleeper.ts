import { linked } from '../../core/abort.ts';
import { monotonicMs, within } from '../../core/clock.ts';
import type { ComputeError } from '../../core/errors.ts';
import { shownMs } from '../../core/shown.ts';
import type { Report } from '../report.ts';
import { type Kept, keepRunning } from '../supervisor.ts';
import type { AsleepFacts } from './asleep-answers.ts';
import type { Front } from './front.ts';
import type { HeldPorts } from './hold-ports.ts';
import type { Holder, Limits } from './holders.ts';
import { Judge, type JudgeOptions } from './judge.ts';
import type { LastLook } from './last-look.ts';
import { SleepNow } from './sleep-now.ts';
import { type Left, leaveAll } from './suspend.ts';

export interface SleeperOptions {
  readonly front: Front;
  readonly limits: Limits;
  readonly report: Report;
  /** The compute.
   *  @param waking it has run before
   *  @param onPostgres called when Postgres takes connections, if that is known before it is ready */
  readonly compute: (waking: boolean, onPostgres: () => void) => Kept;
  readonly judge: Omit<JudgeOptions, 'front' | 'limits' | 'note'>;
  /** Keeps the ports of compute_ctl while it does not run. */
  readonly holdPorts: (facts: () => AsleepFacts) => Promise<HeldPorts>;
  /** Another program that keeps it from starting. */
  readonly obstacle: () => Promise<ComputeError | null>;
  /** Begins what is to be done until `signal` aborts. */
  readonly whileAsleep: (signal: AbortSignal) => void;
  readonly note: (state: Counted, holders: readonly Holder[]) => void;
  /** Who wants it to sleep at once. */
  readonly now?: SleepNow;
}

export interface Counted {
  readonly suspends: number;
  readonly wakes: number;
  readonly wokenBy: string | null;
  readonly lastWakeMs: number | null;
}

const cutOffMs = 1000;
/** How long a start may fail before clients are told of a reason that does not end by itself. */
const hopeMs = 10_000;
/** How often it looks whether the compute is used. */
const [leastTickMs, mostTickMs] = [100, 5000];

/** Runs the compute while somebody uses it. */
export class Sleeper {
  readonly #options: SleeperOptions;
  readonly #judge: Judge;
  readonly #now: SleepNow;
  #counted: Counted = { suspends: 0, wakes: 0, wokenBy: null, lastWakeMs: null };

  constructor(options: SleeperOptions) {
    const { front, judge } = options;
    this.#options = options;
    this.#now = options.now ?? new SleepNow();
    const limits = (): Limits => this.#limits;
    this.#judge = new Judge({ ...judge, front, limits, note: (holders) => this.#note(holders) });
  }

  /** Until `signal` aborts. @throws what the first start failed with */
  async run(signal: AbortSignal): Promise<void> {
    const { front, report } = this.#options;
    for (let waking = false; ; waking = true) {
      const ended = await this.#untilUnused(waking, signal);
      if (signal.aborted) return;
      const why = this.#now.isAsked ? 'it was asked to' : unused(this.#options.limits);
      report.event('asleep', { ended_sessions: ended }, asleepText(why, ended));
      this.#note([]);
      this.#now.asleep();
      const sinceMs = Date.now();
      const held = await this.#options.holdPorts(() => {
        const { suspends, wakes } = this.#counted;
        return { sinceMs, suspends, wakes, endedSessions: front.ended, clients: front.sessions.length };
      });
      const asleep = linked(signal);
      this.#options.whileAsleep(asleep.signal);
      const by = await front.demanded(signal).catch(() => null);
      asleep.abort();
      asleep.release();
      held.release();
      if (by === null || signal.aborted) return;
      this.#counted = { ...this.#counted, wokenBy: by };
      report.event('waking', { by }, null);
    }
  }

  /** Runs the compute until nobody uses it any more, and stops it.
   *  @returns the number of sessions that were ended */
  async #untilUnused(waking: boolean, signal: AbortSignal): Promise<number> {
    const startMs = monotonicMs();
    const awake = linked(signal);
    let [isAsleep, isWaking] = [waking, waking];
    const onPostgres = (): void => {
      this.#options.front.open();
      if (isAsleep) this.#woken(monotonicMs() - startMs);
      isAsleep = false;
    };
    const compute = this.#options.compute(waking, onPostgres);
    const kept: Kept = {
      ...compute,
      onExit: (exit, failure, nextMs) => {
        if (isAsleep && monotonicMs() - startMs > hopeMs) void this.#explain();
        compute.onExit(exit, failure, nextMs);
      },
      onReady: (restart) => {
        onPostgres();
        if (!isWaking) compute.onReady(restart);
        isWaking = false;
      },
    };
    const running = keepRunning(kept, awake.signal, waking);
    let left: Left | null = null;
    const untilUnused = async (): Promise<void> => {
      left = await this.#watch(awake.signal);
      awake.abort();
    };
    try {
      // It ends with the compute, too.
      await Promise.all([running, untilUnused().catch(() => {})]);
    } finally {
      awake.abort();
      awake.release();
    }
    const { ended, cutOff } = (left as Left | null) ?? { ended: 0, cutOff: Promise.resolve(0) };
    // A Postgres that nobody has stopped, because its compute_ctl was killed, goes on until the next start.
    const cut = (await within(cutOff, cutOffMs, signal)) ?? 0;
    this.#options.front.countEnded(cut);
    return ended + cut;
  }

  /** Tells clients that wait what keeps Postgres from starting, where that is another program. */
  async #explain(): Promise<void> {
    const why = await this.#options.obstacle().catch(() => null);
    if (why !== null) this.#options.front.giveUp(why);
  }

  #woken(ms: number): void {
    const { wakes, wokenBy } = this.#counted;
    const lastWakeMs = Math.round(ms);
    this.#counted = { ...this.#counted, wakes: wakes + 1, lastWakeMs };
    this.#options.report.event(
      'woken',
      { by: wokenBy, ms: lastWakeMs },
      `Awake after ${lastWakeMs} ms, for ${wokenBy}.`,
    );
    this.#note([]);
  }

  /** Resolves when the compute is to be stopped. */
  async #watch(signal: AbortSignal): Promise<Left> {
    const { front, limits } = this.#options;
    const tickMs = Math.min(mostTickMs, Math.max(leastTickMs, limits.suspendAfterMs / 10));
    for (;;) {
      await this.#now.pause(tickMs, signal);
      const holders = front.isAwake ? await this.#judge.holders(signal) : null;
      if (holders !== null) this.#note(holders);
      const left = holders?.length === 0 ? await this.#suspend(signal) : null;
      if (left !== null) return left;
      this.#now.held(holders);
    }
  }

  /** For who wants it to sleep at once, only what it would lose counts. */
  get #limits(): Limits {
    const { limits } = this.#options;
    return this.#now.isAsked ? { ...limits, suspendAfterMs: 0 } : limits;
  }

  #suspend(signal: AbortSignal): Promise<Left | null> {
    const { front, report } = this.#options;
    const limits = this.#limits;
    const isHeld = (): boolean => this.#judge.heldByClients().length > 0;
    const onBegin = (): void => {
      report.event('suspending', {}, null);
      this.#counted = { ...this.#counted, suspends: this.#counted.suspends + 1 };
    };
    const look = (limited: AbortSignal): Promise<LastLook | null> => this.#judge.lookLast(limited);
    return leaveAll({ front, limits, isHeld, look, onBegin }, signal);
  }

  #note(holders: readonly Holder[]): void {
    this.#options.note(this.#counted, holders);
  }
}

const unused = ({ suspendAfterMs }: Limits): string => `nobody has used it for ${shownMs(suspendAfterMs)}`;

function asleepText(why: string, ended: number): string {
  const cut = ended === 0 ? '' : ` ${ended} idle ${ended === 1 ? 'session was' : 'sessions were'} ended.`;
  return `Asleep: ${why}.${cut} The next connection wakes it.`;
}
