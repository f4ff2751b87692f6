import { type Linked, linked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { explained } from '../../core/errors.ts';
import { applying } from '../applied.ts';
import { type Health, type RunningService, type ServiceDeps, healthNow, nextHealth } from '../service.ts';

/** How often the file and rsyslogd are looked at. */
const everyMs = 5000;

export interface KeptFile<Wanted> {
  /** Of the service, for its log lines. */
  readonly name: string;
  /** In the directory of rsyslogd's configuration. */
  readonly file: string;
  /** @throws ComputeError when it cannot be written */
  readonly text: (wanted: Wanted) => string;
  /** Done each time, also while rsyslogd fails. @returns what is wrong, null: nothing */
  look?(wanted: Wanted, signal: AbortSignal): Promise<string | null>;
  /** Done before the file is removed.
   *  @param patient the compute ends; false: a new spec does not want it, and must not wait */
  atEnd?(wanted: Wanted, patient: boolean, signal: AbortSignal): Promise<void>;
}

type Deps = Pick<ServiceDeps, 'rsyslog' | 'log' | 'untilCalm' | 'failpoints'>;

/** A service that is a file of rsyslogd's. It starts at once; what fails is logged once, shown in its health, and tried again. */
export class KeepsFile<Wanted> implements RunningService<Wanted> {
  readonly #kept: KeptFile<Wanted>;
  readonly #deps: Deps;
  readonly #over = new AbortController();
  readonly #task: Promise<void>;
  #wanted: Wanted;
  #pause: Linked | null = null;
  health: Health = healthNow('ok', null, applying);

  constructor(kept: KeptFile<Wanted>, wanted: Wanted, deps: Deps) {
    this.#kept = kept;
    this.#deps = deps;
    this.#wanted = wanted;
    this.#task = this.#run();
  }

  async reconfigure(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    this.health = nextHealth(this.health, this.health.state, this.health.error, applying);
    this.#pause?.abort();
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#leave(false, signal);
  }

  /** However the compute ends: on request, after a crash of Postgres, after a failed start. */
  end(signal: AbortSignal): Promise<void> {
    return this.#leave(true, signal);
  }

  async #leave(patient: boolean, signal: AbortSignal): Promise<void> {
    this.#over.abort();
    await this.#task;
    try {
      await this.#kept.atEnd?.(this.#wanted, patient, signal);
    } finally {
      await this.#deps.rsyslog.remove(this.#kept.file);
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    await this.#deps.untilCalm(this.#over.signal).catch(() => {});
    while (!this.#over.signal.aborted) {
      const pause = (this.#pause = linked(this.#over.signal));
      await this.#once();
      await sleep(everyMs, pause.signal).catch(() => {});
      pause.release();
    }
  }

  async #once(): Promise<void> {
    const wanted = this.#wanted;
    const [applied, looked] = await Promise.allSettled([
      this.#apply(wanted),
      this.#kept.look?.(wanted, this.#over.signal) ?? null,
    ]);
    if (this.#over.signal.aborted || this.#wanted !== wanted) return;
    const failed = [applied, looked].filter((one) => one.status === 'rejected');
    const error = failed.map(({ reason }) => explained(reason)).join('; ');
    if (error !== '') {
      if (this.health.error !== error) this.#deps.log.error(`${this.#kept.name}: ${error}`);
      this.health = nextHealth(this.health, 'failed', error);
    } else if (looked.status === 'fulfilled') {
      const { value } = looked;
      if (value !== null && this.health.error !== value) this.#deps.log.warn(`${this.#kept.name}: ${value}`);
      this.health = nextHealth(this.health, value === null ? 'ok' : 'degraded', value);
    }
  }

  async #apply(wanted: Wanted): Promise<void> {
    const { rsyslog, failpoints } = this.#deps;
    const { file, text, name } = this.#kept;
    await failpoints.pass('compute-rsyslog-apply', this.#over.signal, name);
    let content: string;
    try {
      content = text(wanted);
    } catch (error) {
      // Nothing must go where an earlier spec wanted it.
      await rsyslog.remove(file);
      throw error;
    }
    await rsyslog.apply(file, content, this.#over.signal);
  }
}
