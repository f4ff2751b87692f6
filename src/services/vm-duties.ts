import { existsSync } from 'node:fs';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { ScalingSettings } from './vm-settings.ts';
import type { Background } from './background.ts';
import type { Settings } from './settings.ts';
import type { ComputeState } from '../lifecycle/state.ts';

export interface VmDutiesOptions {
  readonly settings: Settings;
  readonly state: ComputeState;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly background: Background;
}

/** What a compute does for the machine that it has for itself, beside its own story. */
export class VmDuties {
  readonly #options: VmDutiesOptions;
  readonly #specArrived = new AbortController();
  readonly #postgresGone = new AbortController();
  #prewarm: Promise<void> = Promise.resolve();
  #monitor: Promise<void> = Promise.resolve();

  constructor(options: VmDutiesOptions) {
    this.#options = options;
  }

  /** At the start of the process: the vm-informant of older images, and, while no spec is known, the prewarm. */
  begin(): void {
    const { settings, state, metrics, log, background } = this.#options;
    const { vm, env } = settings;
    // Most images have none; they do not even load what would start it.
    if (existsSync(vm.informant)) {
      background.run('vm-informant', async (signal) => {
        const { superviseInformant } = await import('./vm-informant.ts');
        const onStart = (): void => metrics.inc('compute_ctl_vm_informant_starts_total');
        await superviseInformant({ path: vm.informant, env, log, onStart }, signal);
      });
    }
    if (vm.scaling === null || state.spec !== null) return;
    background.run('prewarm of the memory', (signal) => {
      this.#prewarm = this.#warmUp(AbortSignal.any([signal, state.stop.asked, this.#specArrived.signal]));
      return this.#prewarm;
    });
  }

  /** Before the start of the compute. A prewarm that still runs is ended: the spec is what everybody waits for. */
  async specArrived(): Promise<void> {
    this.#specArrived.abort();
    await this.#prewarm;
  }

  /** Once the compute is started: the vm-monitor. */
  postgresServes(): void {
    const { settings, background } = this.#options;
    const { scaling } = settings.vm;
    if (scaling === null) return;
    background.run('vm-monitor', (signal) => {
      this.#monitor = this.#runMonitor(scaling, AbortSignal.any([signal, this.#postgresGone.signal]));
      return this.#monitor;
    });
  }

  /** Resolves when the vm-monitor has stopped. */
  async postgresGone(): Promise<void> {
    this.#postgresGone.abort();
    await this.#monitor.catch(() => {});
  }

  async #warmUp(signal: AbortSignal): Promise<void> {
    const { settings, log } = this.#options;
    const { pgdata, bin, runAs, env } = settings;
    try {
      const { prewarm } = await import('./memory-prewarm.ts');
      const cgroup = settings.vm.scaling?.cgroup.name ?? null;
      await prewarm({ pgdata, bin, runAs, env, cgroup, log }, signal);
    } catch (error) {
      if (signal.aborted) log.info('prewarm of the memory was given up');
      else log.warn(`prewarm of the memory: ${inline(error)}`);
    }
  }

  async #runMonitor(scaling: ScalingSettings, signal: AbortSignal): Promise<void> {
    const { state, metrics, log } = this.#options;
    const [{ runMonitor }, { FileCache }, { parseAddress }, { parseLibpqUrl }] = await Promise.all([
      import('../vm-monitor/server.ts'),
      import('../vm-monitor/file-cache.ts'),
      import('../vm-monitor/address.ts'),
      import('../pg/libpq.ts'),
    ]);
    const listening = parseAddress(scaling.monitorAddress);
    const cache = new FileCache(parseLibpqUrl(scaling.fileCacheConnstr), log);
    // The spec of the moment decides: a reconfiguration may change it.
    const fileCache = (): typeof cache | null =>
      state.spec?.spec.disable_lfc_resizing === true ? null : cache;
    try {
      await runMonitor({ listening, cgroup: scaling.cgroup, fileCache, metrics, log }, signal);
    } finally {
      await cache.close();
    }
  }
}
