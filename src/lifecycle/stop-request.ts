import { ComputeError } from '../core/errors.ts';
import type { TerminateMode } from './api.ts';

/** A request to shut down: by `/terminate`, which keeps the status readable, or by signals, each more urgent. */
export class StopRequest {
  readonly #asked = new AbortController();
  readonly #withoutGrace = new AbortController();
  readonly #escalate = new AbortController();
  #defect = false;
  #mode: TerminateMode | null = null;

  /** Aborted by the first request of any kind: a start ends early, Postgres is stopped (fast mode). */
  readonly asked: AbortSignal = this.#asked.signal;
  /** Aborted by the first signal: the process does not wait for clients to read the status. */
  readonly withoutGrace: AbortSignal = this.#withoutGrace.signal;
  /** Aborted by the second signal: Postgres is stopped (immediate mode), and all waits end. */
  readonly escalate: AbortSignal = this.#escalate.signal;

  /** The mode of `/terminate`; null without such a request. */
  get mode(): TerminateMode | null {
    return this.#mode;
  }

  /** True: the reason is a defect of compute_ctl, which sets the exit code. */
  get defect(): boolean {
    return this.#defect;
  }

  /** A defect of compute_ctl: Postgres is stopped in fast mode, since it works. */
  byDefect(): void {
    this.#defect = true;
    this.#withoutGrace.abort(stopping());
    this.#asked.abort(stopping());
  }

  byHttp(mode: TerminateMode): void {
    this.#mode ??= mode;
    this.#asked.abort(stopping());
  }

  bySignal(): void {
    if (this.withoutGrace.aborted) this.#escalate.abort(stopping());
    this.#withoutGrace.abort(stopping());
    this.#asked.abort(stopping());
  }
}

const stopping = (): ComputeError => new ComputeError('terminated', 'the compute is shutting down');
