import { EventEmitter } from 'node:events';
import { raceAbort } from './clock.ts';
import { ComputeError } from './errors.ts';
import { type ExplainedFailure, explain } from './failure.ts';
import { type After, type Status, statusText, transitions } from './status.ts';

export interface StatusChange {
  readonly from: Status;
  readonly to: Status;
}

/** The one owner of the compute's status. Log line, gauge and waiters all listen to the same event. */
export class Lifecycle {
  #status: Status = 'empty';
  #failure: ExplainedFailure | null = null;
  #since = new Date();
  #startedAt: Date | null = null;
  readonly changed = new EventEmitter<{ status: [StatusChange] }>().setMaxListeners(0);

  get status(): Status {
    return this.#status;
  }

  /** Why the compute is or was `failed`, or why a refresh is retried; null after the next success. */
  get failure(): ExplainedFailure | null {
    return this.#failure;
  }

  /** The same in words. */
  get error(): string | null {
    return this.#failure?.text ?? null;
  }

  /** When the current status began. */
  get since(): Date {
    return this.#since;
  }

  /** When the compute was first `running`; null before. It stays when the compute no longer is. */
  get startedAt(): Date | null {
    return this.#startedAt;
  }

  /** Changes the status, if it still is `from`.
   *  @param failure the reason, when `to` is `failed`; a later `running` clears it
   *  @throws ComputeError `wrong_status` */
  move<S extends Status>(from: S, to: After<S>, failure?: ExplainedFailure): void {
    if (this.#status !== from) throw wrongStatus(this.#status);
    this.#set(to, failure);
  }

  /** Changes the status, if the row of the current one allows it. False when it does not.
   *  @param failure the reason of a failure; a later `running` clears it */
  tryMove(to: Status, failure?: ExplainedFailure): boolean {
    if (!(transitions[this.#status] as readonly Status[]).includes(to)) return false;
    this.#set(to, failure);
    return true;
  }

  /** Resolves with the first status of `wanted` that is seen, at once when it is the current one. */
  reached(wanted: readonly Status[], signal: AbortSignal): Promise<Status> {
    if (wanted.includes(this.#status)) return Promise.resolve(this.#status);
    let listener: (change: StatusChange) => void = () => {};
    const seen = new Promise<Status>((resolve) => {
      listener = ({ to }) => (wanted.includes(to) ? resolve(to) : undefined);
      this.changed.on('status', listener);
    });
    return raceAbort(seen, signal).finally(() => this.changed.off('status', listener));
  }

  #set(to: Status, failure?: ExplainedFailure): void {
    const from = this.#status;
    this.#status = to;
    this.#since = new Date();
    if (to === 'failed' || failure !== undefined) this.#failure = failure ?? unknown();
    if (to === 'running') {
      this.#failure = null;
      this.#startedAt ??= this.#since;
    }
    this.changed.emit('status', { from, to });
  }
}

const unknown = (): ExplainedFailure => explain(new ComputeError('internal', 'unknown error'));

export const wrongStatus = (status: Status): ComputeError =>
  new ComputeError('wrong_status', `invalid compute status: ${statusText(status)}`);
