import { ComputeError } from '../core/errors.ts';
import type { TerminateMode } from './api.ts';

/** Asks the compute to shut down: by `/terminate`, which wants its end to be readable, or by signals, each more urgent. */
export class StopRequest {
  readonly #asked = new AbortController();
  readonly #withoutGrace = new AbortController();
  readonly #escalate = new AbortController();
  #defect = false;
  #mode: TerminateMode | null = null;

  /** Aborted by the first request of any kind: a start gives up, Postgres is stopped in its fast mode. */
  readonly asked: AbortSignal = this.#asked.signal;
  /** Aborted by the first signal: nobody waits for the status to be read. */
  readonly withoutGrace: AbortSignal = this.#withoutGrace.signal;
  /** Aborted by the second signal: Postgres is stopped in its immediate mode, no wait is finished. */
  readonly escalate: AbortSignal = this.#escalate.signal;

  /** How `/terminate` asked; null when it did not. */
  get mode(): TerminateMode | null {
    return this.#mode;
  }

  /** A defect of compute_ctl is the reason: the exit code says so. */
  get defect(): boolean {
    return this.#defect;
  }

  /** Postgres is stopped in its fast mode: it did nothing wrong. */
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
