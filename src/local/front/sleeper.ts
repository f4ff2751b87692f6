import { linked } from '../../core/abort.ts';
import { monotonicMs } from '../../core/clock.ts';
import { inline } from '../../core/errors.ts';
import { shownMs } from '../../core/shown.ts';
import type { Report } from '../report.ts';
import { type Kept, keepRunning } from '../supervisor.ts';
import type { Front } from './front.ts';
import type { HeldPorts } from './hold-ports.ts';
import {
  type Holder,
  type Limits,
  type Seen,
  heldByActivity,
  heldByClients,
  heldInPostgres,
} from './holders.ts';
import type { Observed } from './observe.ts';
import type { Roster } from './roster.ts';
import type { Session } from './session.ts';
import { SleepNow } from './sleep-now.ts';
import { leaveAll } from './suspend.ts';

export interface SleeperOptions {
  readonly front: Front;
  readonly limits: Limits;
  readonly report: Report;
  /** The compute.
   *  @param waking it has run before
   *  @param onPostgres called when Postgres takes connections, if that is known before it is ready */
  readonly compute: (waking: boolean, onPostgres: () => void) => Kept;
  readonly observe: (signal: AbortSignal) => Promise<Observed>;
  /** Keeps the ports of compute_ctl while it does not run. */
  readonly holdPorts: () => Promise<HeldPorts>;
  /** Files of unlogged tables with rows. */
  readonly unlogged: () => readonly string[];
  /** Milliseconds since compute_ctl has seen activity; null for none. @throws when it does not say */
  readonly lastActiveMs: (signal: AbortSignal) => Promise<number | null>;
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

/** How often it looks whether the compute is used. */
const [leastTickMs, mostTickMs] = [100, 5000];
const cannotReturn = 'a log-in that cannot be repeated';

/** Runs the compute while somebody uses it. */
export class Sleeper {
  readonly #options: SleeperOptions;
  readonly #now: SleepNow;
  #counted: Counted = { suspends: 0, wakes: 0, wokenBy: null, lastWakeMs: null };
  #roster: Roster | null = null;
  #unreadableMs: number | null = null;

  constructor(options: SleeperOptions) {
    this.#options = options;
    this.#now = options.now ?? new SleepNow();
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
      const held = await this.#options.holdPorts();
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
      onReady: (restart) => {
        onPostgres();
        if (!isWaking) compute.onReady(restart);
        isWaking = false;
      },
    };
    const running = keepRunning(kept, awake.signal, waking);
    let ended = 0;
    const untilUnused = async (): Promise<void> => {
      ended = await this.#watch(awake.signal);
      awake.abort();
    };
    try {
      // It ends with the compute, too.
      await Promise.all([running, untilUnused().catch(() => {})]);
    } finally {
      awake.abort();
      awake.release();
    }
    return ended;
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

  /** Resolves when the compute is to be stopped, with the number of sessions that were ended. */
  async #watch(signal: AbortSignal): Promise<number> {
    const { front, limits } = this.#options;
    const tickMs = Math.min(mostTickMs, Math.max(leastTickMs, limits.suspendAfterMs / 10));
    for (;;) {
      await this.#now.pause(tickMs, signal);
      const holders = front.isAwake ? await this.#holders(signal) : null;
      if (holders !== null) {
        this.#note(holders);
        const roster = holders.length > 0 ? null : this.#roster;
        const ended = roster === null ? null : await this.#suspend(roster, signal);
        if (ended !== null) return ended;
      }
      this.#now.held(holders);
    }
  }

  /** For who wants it to sleep at once, only what it would lose counts. */
  get #limits(): Limits {
    const { limits } = this.#options;
    return this.#now.isAsked ? { ...limits, suspendAfterMs: 0 } : limits;
  }

  /** What keeps it awake: the cheap questions first. */
  async #holders(signal: AbortSignal): Promise<Holder[]> {
    const { front } = this.#options;
    const byClients = this.#heldByClients();
    if (byClients.length > 0) return byClients;
    const inPostgres = await this.#heldInPostgres(signal);
    if (inPostgres.length > 0) return inPostgres;
    for (const session of front.sessions) {
      if (session.found !== null) continue;
      front.seen();
      await session.inspect();
      signal.throwIfAborted();
    }
    front.seen();
    return this.#heldByClients();
  }

  #heldByClients(): Holder[] {
    return heldByClients(this.#seen(), this.#last(), this.#limits);
  }

  async #heldInPostgres(signal: AbortSignal): Promise<Holder[]> {
    const { front, observe, lastActiveMs, unlogged } = this.#options;
    const limits = this.#limits;
    try {
      const [observed, activeMs] = await Promise.all([observe(signal), lastActiveMs(signal)]);
      this.#unreadableMs = null;
      this.#roster = observed.roster;
      const known = new Set(front.sessions.flatMap(({ pid }) => pid ?? []));
      return [
        ...heldInPostgres(observed, known, (one) => front.isIgnored(one), limits),
        ...unlogged().map((file): Holder => ({ kind: 'unlogged', who: file, sinceMs: 0 })),
        ...heldByActivity(activeMs, monotonicMs() - front.seenMs, limits),
      ];
    } catch (error) {
      signal.throwIfAborted();
      this.#unreadableMs ??= monotonicMs();
      return [{ kind: 'unreadable', who: inline(error), sinceMs: monotonicMs() - this.#unreadableMs }];
    }
  }

  #last(): { who: string; idleMs: number } {
    const { front } = this.#options;
    return { who: front.lastUser, idleMs: monotonicMs() - front.usedMs };
  }

  #seen(): Seen[] {
    const { front } = this.#options;
    return front.sessions.map((session) => ({
      pid: session.pid,
      who: session.who,
      ignored: front.isIgnored(session),
      busy: session.isComing || (session.place === 'open' && !session.quiet),
      inTransaction: session.inTransaction,
      idleMs: monotonicMs() - session.usedMs,
      loses: this.#loses(session),
    }));
  }

  #loses(session: Session): readonly string[] | null {
    const { place, found } = session;
    if (place !== 'open' || found === null) return null;
    if ('holds' in found) return found.holds;
    return this.#roster !== null && !session.canReturn(this.#roster) ? [cannotReturn] : [];
  }

  #suspend(roster: Roster, signal: AbortSignal): Promise<number | null> {
    const { front, report } = this.#options;
    const limits = this.#limits;
    const isHeld = (): boolean => this.#heldByClients().length > 0;
    const onBegin = (): void => {
      report.event('suspending', {}, null);
      this.#counted = { ...this.#counted, suspends: this.#counted.suspends + 1 };
    };
    return leaveAll({ front, limits, isHeld, onBegin }, roster, signal);
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
