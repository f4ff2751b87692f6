import { monotonicMs } from '../core/clock.ts';
import { ComputeError, type ErrorCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/** Why a bearer token is refused. */
export type RefusalReason =
  | 'no-token'
  | 'not-a-bearer-token'
  | 'malformed'
  | 'wrong-algorithm'
  | 'no-keys'
  | 'unknown-key'
  | 'wrong-signature'
  | 'unusable-claims'
  | 'no-expiry'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-audience'
  | 'wrong-compute';

const unverified = 'failed to verify authorization token';

/** What the client is told, where it is not the usual text. */
interface Told {
  readonly code?: ErrorCode;
  readonly message?: string;
}

/** A token that is refused. The message is for the client; the details are for the log only, and never quote the token. */
export class TokenRefused extends ComputeError {
  readonly reason: RefusalReason;
  readonly details: string;

  constructor(
    reason: RefusalReason,
    details: string,
    { code = 'bad_token', message = unverified }: Told = {},
  ) {
    super(code, message);
    this.reason = reason;
    this.details = details;
  }
}

/** A name from a token, such as a key's id, for the log. What is not an ordinary name is not shown: a client chose it. */
export const shownName = (name: unknown): string =>
  typeof name === 'string' && /^[\w.:/+-]{1,64}$/.test(name) ? `"${name}"` : 'a name that is not shown';

const minuteMs = 60_000;

interface Logged {
  /** Of the latest line. */
  atMs: number;
  /** Refusals since then. */
  more: number;
}

/** Logs why tokens are refused: each reason at once, then at most once a minute, with the number of refusals in between. */
export class RefusalLog {
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #told = new Map<RefusalReason, Logged>();

  /** @param nowMs of a clock that never goes back */
  constructor(log: Log, nowMs: () => number = monotonicMs) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  add({ reason, details }: TokenRefused): void {
    const told = this.#told.get(reason);
    const nowMs = this.#nowMs();
    if (told !== undefined && nowMs - told.atMs < minuteMs) {
      told.more++;
      return;
    }
    const more = told?.more ?? 0;
    this.#told.set(reason, { atMs: nowMs, more: 0 });
    this.#log.warn({ reason, ...(more > 0 && { unlogged: more }) }, `token refused: ${details}`);
  }
}
