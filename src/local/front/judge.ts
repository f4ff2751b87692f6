import { monotonicMs } from '../../core/clock.ts';
import { inline } from '../../core/errors.ts';
import type { Front } from './front.ts';
import {
  type Holder,
  type Limits,
  type Seen,
  heldByActivity,
  heldByClients,
  heldInPostgres,
} from './holders.ts';
import type { LastLook } from './last-look.ts';
import type { Observed } from './observe.ts';
import type { Roster } from './roster.ts';
import type { Session } from './session.ts';

export interface JudgeOptions {
  readonly front: Front;
  /** Those that count at that moment. */
  readonly limits: () => Limits;
  readonly observe: (signal: AbortSignal) => Promise<Observed>;
  readonly lookLast: (signal: AbortSignal) => Promise<LastLook>;
  /** Commands of ours that need it. */
  readonly commands: () => readonly Holder[];
  /** Unlogged tables with rows, unlogged sequences with another value. */
  readonly unlogged: (signal: AbortSignal) => Promise<readonly string[]>;
  /** @throws when it does not say */
  readonly askCompute: (signal: AbortSignal) => Promise<ComputeCtl>;
  readonly note: (holders: readonly Holder[]) => void;
}

/** What compute_ctl says of itself. */
export interface ComputeCtl {
  /** Milliseconds since it has seen activity; null for none. */
  readonly activeMs: number | null;
  /** Whether it does nothing but run. */
  readonly isSettled: boolean;
}

const cannotReturn = 'a log-in that cannot be repeated';

/** Says what keeps a compute awake. */
export class Judge {
  readonly #options: JudgeOptions;
  #roster: Roster | null = null;
  #unreadableMs: number | null = null;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** What keeps it awake: the cheap questions first. */
  async holders(signal: AbortSignal): Promise<Holder[]> {
    const { front, limits } = this.#options;
    const byClients = this.heldByClients();
    if (byClients.length > 0) return byClients;
    const inPostgres = await this.#heldInPostgres(signal);
    if (inPostgres.length > 0) return inPostgres;
    for (const session of front.sessions) {
      if (session.found !== null) continue;
      front.usage.seen();
      await session.inspect();
      signal.throwIfAborted();
    }
    front.usage.seen();
    return heldByClients(this.#seen(), this.#last(), limits());
  }

  /** What the front knows by itself. */
  heldByClients(): Holder[] {
    const { commands, limits } = this.#options;
    return [...commands(), ...heldByClients(this.#seen(), this.#last(), limits())];
  }

  async #heldInPostgres(signal: AbortSignal): Promise<Holder[]> {
    const { observe, askCompute } = this.#options;
    try {
      const [observed, ctl] = await Promise.all([observe(signal), askCompute(signal)]);
      this.#unreadableMs = null;
      return await this.#heldBy(observed, ctl, signal);
    } catch (error) {
      signal.throwIfAborted();
      return [this.#unreadable(error)];
    }
  }

  async #heldBy(observed: Observed, ctl: ComputeCtl, signal: AbortSignal): Promise<Holder[]> {
    const { front, unlogged } = this.#options;
    const limits = this.#options.limits();
    this.#roster = observed.roster;
    const known = new Set(front.sessions.flatMap(({ pid }) => pid ?? []));
    return [
      ...heldInPostgres(observed, known, (one) => front.isIgnored(one), limits),
      ...(await unlogged(signal)).map((what): Holder => ({ kind: 'unlogged', who: what, sinceMs: 0 })),
      ...(ctl.isSettled ? [] : [{ kind: 'changing', who: 'compute_ctl', sinceMs: 0 } as const]),
      ...heldByActivity(ctl.activeMs, monotonicMs() - front.usage.seenMs, limits),
    ];
  }

  #unreadable(error: unknown): Holder {
    this.#unreadableMs ??= monotonicMs();
    return { kind: 'unreadable', who: inline(error), sinceMs: monotonicMs() - this.#unreadableMs };
  }

  /** The same as a look before, but that nothing can change any more. */
  async lookLast(signal: AbortSignal): Promise<LastLook | null> {
    let last: LastLook | null = null;
    let holders: readonly Holder[] = [];
    try {
      const ctl = await this.#options.askCompute(signal);
      last = await this.#options.lookLast(signal);
      holders = await this.#heldBy(last.observed, ctl, signal);
    } catch (error) {
      holders = [this.#unreadable(error)];
    }
    if (holders.length === 0 && !signal.aborted) return last;
    last?.release();
    signal.throwIfAborted();
    this.#options.note(holders);
    return null;
  }

  #last(): { who: string; idleMs: number } {
    const { front } = this.#options;
    return { who: front.usage.last, idleMs: monotonicMs() - front.usage.usedMs };
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
}
