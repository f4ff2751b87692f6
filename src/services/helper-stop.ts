import { type EndStep, endProcess } from '../process/end.ts';
import { type ProcessIdentity, signalProcess } from '../process/identity.ts';
import type { ServiceDeps } from './service.ts';

export interface HelperProgram {
  /** For log lines. */
  readonly name: string;
  /** The process; null when it does not run. Throws when there is one that must not be touched. */
  readonly find: () => ProcessIdentity | null;
  /** From the first request to the end. */
  readonly steps: readonly EndStep[];
}

type Deps = Pick<ServiceDeps, 'log' | 'settings' | 'stopAsked' | 'stoppedBySignal'>;

/** Stops a program beside Postgres that something else has started: it is asked as soon as the compute is asked to stop, before
 *  Postgres is, and its end is awaited after that of Postgres. */
export class HelperStop {
  readonly #program: HelperProgram;
  readonly #deps: Deps;
  /** Another one that a supervisor starts in its place is left alone. */
  #asked: ProcessIdentity | null = null;
  readonly #ask = (): void => {
    if (this.keeps) return;
    try {
      const { find, steps } = this.#program;
      const one = find();
      if (one === null || !signalProcess(one, steps[0]!.signal)) return;
      this.#asked = one;
      this.#deps.log.info(`stopping ${this.#program.name} (pid ${one.pid})`);
    } catch {
      // `end` reports it.
    }
  };

  constructor(program: HelperProgram, deps: Deps) {
    this.#program = program;
    this.#deps = deps;
    deps.stopAsked.addEventListener('abort', this.#ask, { once: true });
  }

  /** True: the program stays when the compute ends. */
  get keeps(): boolean {
    const { settings, stopAsked, stoppedBySignal } = this.#deps;
    return settings.helpers.keptOnSignal && stopAsked.aborted && stoppedBySignal();
  }

  /** The program is not to be stopped any more. */
  release(): void {
    this.#deps.stopAsked.removeEventListener('abort', this.#ask);
  }

  /** Ends it, also when nobody has asked the compute to stop: Postgres has crashed.
   *  @throws ComputeError `process_stuck`; AbortError; as `find` */
  async end(signal: AbortSignal): Promise<void> {
    this.release();
    const { name, find, steps } = this.#program;
    const one = this.keeps ? null : (this.#asked ?? find());
    if (one !== null) await endProcess(one, name, steps, signal);
  }
}
