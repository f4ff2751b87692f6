import { explained } from './errors.ts';

/** What may be retried for long enough that somebody asks. */
export type Retried = 'pageserver' | 'safekeepers' | 'control_plane' | 'refresh';

/** Something that has failed and is tried again: the form in `/status`. Times are RFC 3339, UTC. */
export interface Retrying {
  readonly what: Retried;
  /** Attempts that have failed. */
  readonly failures: number;
  /** When the first one failed. */
  readonly since: string;
  /** Why the last one failed, with its hints. */
  readonly error: string;
  /** Null while an attempt is running. */
  readonly next_try: string | null;
  /** How many attempts there are at most; null: no limit. */
  readonly max_attempts: number | null;
  /** When the time for all attempts is up; null: no limit. */
  readonly gives_up: string | null;
}

export interface RetryLimits {
  /** Infinity: no limit. */
  readonly attempts: number;
  /** Milliseconds; Infinity: no limit. */
  readonly totalMs: number;
}

export interface FailedAttempt {
  /** Counted from 1. */
  readonly attempt: number;
  readonly error: unknown;
  /** Milliseconds until the next attempt. */
  readonly pauseMs: number;
}

/** Follows the attempts of one operation. */
export interface RetryTrack {
  begin(limits: RetryLimits): void;
  failed(attempt: FailedAttempt): void;
  /** It has succeeded, or was given up. */
  end(): void;
}

/** All that is being retried at the moment: retrying is not silence. */
export class Retries {
  readonly #now = new Map<RetryTrack, Retrying>();

  /** In the order of their first failures. */
  list(): Retrying[] {
    const now = new Date().toISOString();
    return [...this.#now.values()].map((one) => {
      return one.next_try !== null && one.next_try <= now ? { ...one, next_try: null } : one;
    });
  }

  track(what: Retried): RetryTrack {
    let limits = { max_attempts: null as number | null, gives_up: null as string | null };
    const track: RetryTrack = {
      begin: ({ attempts, totalMs }) => {
        const gives_up = totalMs === Infinity ? null : later(totalMs);
        limits = { max_attempts: attempts === Infinity ? null : attempts, gives_up };
      },
      failed: ({ attempt, error, pauseMs }) => {
        const since = this.#now.get(track)?.since ?? later(0);
        const next_try = pauseMs === 0 ? null : later(pauseMs);
        const said = { failures: attempt, since, error: explained(error), next_try };
        this.#now.set(track, { what, ...said, ...limits });
      },
      end: () => void this.#now.delete(track),
    };
    return track;
  }
}

const later = (ms: number): string => new Date(Date.now() + ms).toISOString();
