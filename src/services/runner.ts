import { linked, never } from '../core/abort.ts';
import { alarm, raceAbort, tookTooLong, withDeadline, within } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import {
  type Health,
  type RunningService,
  type Service,
  type ServiceDeps,
  type Stage,
  healthNow,
} from './service.ts';

const defaultStartMs = 10_000;
/** Limit for the stop of one service, and for its reconfiguration. */
const limitMs = 5000;
/** How long a stop is still awaited when its limit is over or the shutdown was escalated. */
const lastMs = 3000;

type AnyService = Service<unknown>;

/** Starts, reconfigures and stops the services, each within its limit. Only a required service's failure fails the
 *  caller. */
export class ServiceRunner {
  readonly #services: readonly AnyService[];
  readonly #deps: ServiceDeps;
  readonly #running = new Map<AnyService, RunningService<unknown>>();
  /** The services that are wanted but not running, and why. */
  readonly #failed = new Map<AnyService, Health>();
  /** The services that have nothing left of an earlier process, or look after it themselves. */
  readonly #cleaned = new Set<AnyService>();
  /** Stops under way, so that nobody stops a service twice. */
  readonly #stopping = new Map<AnyService, Promise<void>>();

  constructor(services: readonly AnyService[], deps: ServiceDeps) {
    this.#services = services;
    this.#deps = deps;
  }

  /** Starts, reconfigures and stops the services of one stage as the spec requires, all at the same time.
   *  @param spec null: there is none yet
   *  @throws what a required service threw; the reason of `signal` */
  async bring(stage: Stage, spec: ResolvedSpec | null, signal: AbortSignal): Promise<void> {
    const of = this.#services.filter(({ when }) => when === stage);
    const settled = await Promise.allSettled(of.map((service) => this.#bring(service, spec, signal)));
    signal.throwIfAborted();
    for (const one of settled) if (one.status === 'rejected') throw one.reason;
  }

  /** Applies a new spec: reconfigures the running services, starts the new ones and stops those no longer wanted. */
  async reconfigure(spec: ResolvedSpec, signal: AbortSignal): Promise<void> {
    const living = this.#services.filter(({ once }) => once !== true);
    await Promise.all(living.map((service) => this.#bring(service, spec, signal)));
  }

  /** Stops the services of one stage, the last one first. Never rejects.
   *  @param escalate cuts the wait for each of them short, to 3000 ms */
  async stop(stage: Stage, escalate: AbortSignal): Promise<void> {
    const of = [...this.#running.keys()].filter(({ when }) => when === stage);
    for (const service of of.toReversed()) await this.#stop(service, escalate, true);
  }

  /** The health of every wanted service, by name. */
  health(): Record<string, Health> {
    const all = this.#services.map((service) => [service.name, this.#healthOf(service)] as const);
    return Object.fromEntries(all.filter((one): one is [string, Health] => one[1] !== undefined));
  }

  /** A service's error that counts as the compute's error; null: none. */
  get error(): string | null {
    const shown = this.#services.filter(({ showsError }) => showsError === true);
    return (
      shown.map((service) => this.#healthOf(service)?.error ?? null).find((error) => error !== null) ?? null
    );
  }

  #healthOf(service: AnyService): Health | undefined {
    return this.#running.get(service)?.health ?? this.#failed.get(service);
  }

  async #bring(service: AnyService, spec: ResolvedSpec | null, signal: AbortSignal): Promise<void> {
    const { settings } = this.#deps;
    const wanted =
      spec === null ? (service.wantsWithoutSpec?.(settings) ?? null) : service.wants(spec, settings);
    const running = this.#running.get(service);
    if (wanted === null) {
      this.#failed.delete(service);
      if (running !== undefined) await this.#stop(service, signal);
      else if (spec !== null) this.#cleanUp(service);
      return;
    }
    this.#cleaned.add(service);
    if (running === undefined) await this.#start(service, wanted, signal);
    else await this.#tell(service, running, wanted, signal);
  }

  #cleanUp(service: AnyService): void {
    if (service.cleanUp === undefined || this.#cleaned.has(service)) return;
    this.#cleaned.add(service);
    service
      .cleanUp(this.#deps)
      .catch((error: unknown) =>
        this.#deps.log.warn(`could not remove what is left of ${service.name}: ${explained(error)}`),
      );
  }

  async #start(service: AnyService, wanted: unknown, signal: AbortSignal): Promise<void> {
    const { name, startLimitMs = defaultStartMs, required } = service;
    const { log } = this.#deps;
    signal.throwIfAborted();
    let starting: Promise<RunningService<unknown>> | undefined;
    try {
      const running = await withDeadline(`the start of ${name}`, startLimitMs, signal, (limited) => {
        starting = this.#deps.failpoints
          .pass('compute-service-start', limited, name)
          .then(() => service.start(wanted, this.#deps, limited));
        return starting;
      });
      this.#running.set(service, running);
      this.#failed.delete(service);
    } catch (error) {
      // A start that comes to its end too late is stopped again.
      void starting?.then((late) => this.#end(service, late, signal)).catch(() => {});
      if (required === true || signal.aborted) throw error;
      this.#failed.set(service, healthNow('failed', explained(error)));
      log.error(`could not start ${name}: ${explained(error)}`);
    }
  }

  async #tell(
    { name }: AnyService,
    running: RunningService<unknown>,
    wanted: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await withDeadline(`the reconfiguration of ${name}`, limitMs, signal, (limited) =>
        running.reconfigure(wanted, limited),
      );
    } catch (error) {
      this.#deps.log.error(`could not reconfigure ${name}: ${explained(error)}`);
    }
  }

  /** @param forGood the compute shuts down */
  async #stop(service: AnyService, escalate: AbortSignal, forGood = false): Promise<void> {
    const running = this.#running.get(service);
    if (running === undefined) return;
    const under = this.#stopping.get(service);
    if (under !== undefined) return under;
    const stopping = this.#end(service, running, escalate, forGood ? 'end' : 'stop').finally(() => {
      this.#stopping.delete(service);
      this.#running.delete(service);
    });
    this.#stopping.set(service, stopping);
    return stopping;
  }

  /** Never rejects. */
  async #end(
    { name, stopLimitMs = limitMs }: AnyService,
    running: RunningService<unknown>,
    escalate: AbortSignal,
    how: 'stop' | 'end' = 'stop',
  ): Promise<void> {
    const hurry = linked(escalate);
    const late = tookTooLong(`the stop of ${name}`, stopLimitMs);
    const cancel = alarm(stopLimitMs, () => hurry.abort(late));
    try {
      const ending = how === 'end' ? running.end?.(hurry.signal) : undefined;
      const stopped = (ending ?? running.stop(hurry.signal)).then(() => true);
      await raceAbort(stopped, hurry.signal).catch(async (error: unknown) => {
        if (!hurry.signal.aborted || (await within(stopped, lastMs, never)) === null) throw error;
      });
    } catch (error) {
      this.#deps.log.warn(`could not stop ${name}: ${explained(error)}`);
    } finally {
      cancel();
      hurry.release();
    }
  }
}
