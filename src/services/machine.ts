import { explained } from '../core/errors.ts';
import { done, inBackground } from './forms.ts';
import type { Service } from './service.ts';

// Services for a VM that belongs to this compute alone. Their code is loaded only where they are wanted.

/** Longer than the program's own limit. */
const programMs = 125_000;

export const swap: Service<number> = {
  name: 'swap',
  when: 'before-postgres',
  startLimitMs: programMs,
  required: true,
  once: true,
  wants: ({ spec }, { vm }) => (vm.resizeSwap ? spec.swap_size_bytes : null),
  async start(bytes, { settings, log }, signal) {
    const { resizeSwap } = await import('./vm-programs.ts');
    await resizeSwap({ vm: settings.vm, env: settings.env, log }, bytes, signal);
    return done();
  },
};

interface Quota {
  readonly mountpoint: string;
  readonly bytes: number;
}

export const diskQuota: Service<Quota> = {
  name: 'disk-quota',
  when: 'before-postgres',
  startLimitMs: programMs,
  required: true,
  once: true,
  wants({ spec: { disk_quota_bytes: bytes } }, { vm: { quotaMountpoint: mountpoint } }) {
    return bytes === null || mountpoint === null ? null : { bytes, mountpoint };
  },
  async start({ bytes, mountpoint }, { settings, log }, signal) {
    const { setDiskQuota } = await import('./vm-programs.ts');
    await setDiskQuota({ vm: settings.vm, env: settings.env, log }, bytes, mountpoint, signal);
    return done();
  },
};

/** Only older images have it. */
export const vmInformant: Service<string> = {
  name: 'vm-informant',
  when: 'with-process',
  wants: (_, { vm }) => vm.informant,
  wantsWithoutSpec: ({ vm }) => vm.informant,
  start: async (path, deps) =>
    inBackground(deps, {
      name: 'vm-informant',
      async work(signal, loop) {
        const { superviseInformant } = await import('./vm-informant.ts');
        const { settings, metrics, log } = deps;
        const onStart = (): void => {
          metrics.inc('compute_ctl_vm_informant_starts_total');
          loop.report('ok');
        };
        const onTrouble = (why: string): void => loop.report('degraded', why);
        await superviseInformant({ path, env: settings.env, log, onStart, onTrouble }, signal);
      },
    }),
};

/** Runs while no spec is known. When the spec arrives, a running prewarm ends, so that it does not delay the start. */
export const memoryPrewarm: Service<true> = {
  name: 'memory-prewarm',
  when: 'with-process',
  stopLimitMs: 30_000,
  wants: () => null,
  wantsWithoutSpec: ({ vm, lakebase }) => (vm.scaling === null || lakebase !== null ? null : true),
  start: async (_, deps) =>
    inBackground(deps, {
      name: 'memory-prewarm',
      async work(signal, loop) {
        const { settings, log } = deps;
        const { pgdata, bin, env, logFormat } = settings;
        const cgroup = settings.vm.scaling?.cgroup.name ?? null;
        try {
          const { prewarm } = await import('./memory-prewarm.ts');
          await prewarm({ pgdata, bin, env, cgroup, log, logFormat }, signal);
        } catch (error) {
          if (signal.aborted) return log.info('prewarm of the memory was stopped before its end');
          loop.report('failed', explained(error));
          log.warn(`prewarm of the memory: ${explained(error)}`);
        }
      },
    }),
};
