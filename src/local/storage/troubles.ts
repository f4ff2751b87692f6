import { monotonicMs } from '../../core/clock.ts';
import { hintOf, inline } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { shownMs } from '../../core/shown.ts';
import { type Part, type TroubleKind, kindOf, parts, troubleKinds } from './trouble-kinds.ts';

/** What is wrong with a part of the storage now. */
export interface Trouble {
  readonly part: Part;
  readonly kind: TroubleKind;
  /** What it means, e.g. that commits wait. */
  readonly what: string;
  /** RFC 3339, UTC: when the part stopped working. */
  readonly since: string;
  /** Why, the last time. */
  readonly reason: string;
  /** What to do. */
  readonly act: string;
  /** How often it has failed since then. */
  readonly failures: number;
}

/** A line for the terminal of `up`. */
export type TroubleNews =
  | { readonly event: 'trouble'; readonly trouble: Trouble; readonly text: string }
  | {
      readonly event: 'trouble-over';
      readonly part: Part;
      readonly after_ms: number;
      readonly text: string;
    };

export interface TroublesOptions {
  readonly log: Log;
  /** Called with each line that is logged. */
  readonly tell?: (news: TroubleNews) => void;
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
}

const minuteMs = 60_000;

interface Open {
  trouble: Trouble;
  readonly beganMs: number;
  /** A line about it was logged. */
  told: boolean;
}

/** The storage's troubles by part. Each kind of trouble of a part is logged at once and then at most once a minute, however
 *  often it happens, and its end once. */
export class Troubles {
  readonly #options: TroublesOptions;
  readonly #nowMs: () => number;
  readonly #open = new Map<Part, Open>();
  /** When a line was last logged, by part and kind. It outlives the trouble, which may come and go. */
  readonly #toldMs = new Map<string, number>();

  constructor(options: TroublesOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? monotonicMs;
  }

  list(): Trouble[] {
    return [...this.#open.values()].map(({ trouble }) => trouble);
  }

  of(part: Part): Trouble | null {
    return this.#open.get(part)?.trouble ?? null;
  }

  /** The same for what an error says. An error that says what to do knows better than its kind. */
  failedWith(part: Part, error: unknown, kind = kindOf(error)): void {
    this.failed(part, kind, inline(error), kind === 'other' ? hintOf(error) : null);
  }

  /** The part has failed, once more or for the first time.
   *  @param hint what to do; null: what is to be done about its kind */
  failed(part: Part, kind: TroubleKind, reason: string, hint: string | null = null): void {
    const before = this.#open.get(part);
    const trouble: Trouble = {
      part,
      kind,
      what: parts[part].fails ?? troubleKinds[kind].words,
      since: before?.trouble.since ?? new Date().toISOString(),
      reason,
      act: hint ?? troubleKinds[kind].act,
      failures: (before?.trouble.failures ?? 0) + 1,
    };
    const open = before ?? { trouble, beganMs: this.#nowMs(), told: false };
    open.trouble = trouble;
    this.#open.set(part, open);
    this.#tell(open);
  }

  /** The part works. */
  works(part: Part): void {
    const open = this.#open.get(part);
    if (open === undefined) return;
    this.#open.delete(part);
    // The end of what comes and goes within a minute is as silent as its beginning.
    if (!open.told) return;
    const afterMs = Math.round(this.#nowMs() - open.beganMs);
    const text = `${parts[part].works}, after ${shownMs(afterMs)}`;
    this.#options.log.info({ part, failures: open.trouble.failures, after_ms: afterMs }, text);
    this.#options.tell?.({ event: 'trouble-over', part, after_ms: afterMs, text });
  }

  #tell(open: Open): void {
    const { trouble, told, beganMs } = open;
    const { part, kind, failures, since, what, reason, act } = trouble;
    const key = `${part} ${kind}`;
    const nowMs = this.#nowMs();
    const lastMs = this.#toldMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < minuteMs) return;
    this.#toldMs.set(key, nowMs);
    open.told = true;
    const lasts = told ? `, for ${shownMs(nowMs - beganMs)} now` : '';
    const text = `${what}${lasts}: ${reason}. What to do: ${act}`;
    this.#options.log.warn({ part, kind, since, failures }, text);
    this.#options.tell?.({ event: 'trouble', trouble, text });
  }
}
