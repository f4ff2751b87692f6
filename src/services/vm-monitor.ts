import { inBackground } from './forms.ts';
import type { Service, ServiceDeps } from './service.ts';
import type { ScalingSettings } from './vm-settings.ts';

interface Wanted {
  readonly scaling: ScalingSettings;
  readonly resizeFileCache: boolean;
}

/** The counterpart of the autoscaler agent, on machines that are scaled. */
export const vmMonitor: Service<Wanted> = {
  name: 'vm-monitor',
  when: 'after-ready',
  wants: ({ spec }, { vm: { scaling } }) =>
    scaling === null ? null : { scaling, resizeFileCache: !spec.disable_lfc_resizing },
  async start(wanted, deps) {
    let { resizeFileCache } = wanted;
    return inBackground<Wanted>(deps, {
      name: 'vm-monitor',
      reconfigure: (next) => void ({ resizeFileCache } = next),
      work: (signal) => run(wanted.scaling, () => resizeFileCache, deps, signal),
    });
  },
};

async function run(
  scaling: ScalingSettings,
  resizeFileCache: () => boolean,
  { metrics, log, settings }: ServiceDeps,
  signal: AbortSignal,
): Promise<void> {
  const [{ runMonitor }, { FileCache }, { parseAddress }, { parseLibpqUrl }] = await Promise.all([
    import('../vm-monitor/server.ts'),
    import('../vm-monitor/file-cache.ts'),
    import('../vm-monitor/address.ts'),
    import('../pg/libpq.ts'),
  ]);
  signal.throwIfAborted();
  const listening = parseAddress(scaling.monitorAddress);
  const { major } = settings.target;
  const target = {
    ...parseLibpqUrl(scaling.fileCacheConnstr, '--filecache-connstr'),
    ...(major === undefined ? {} : { major }),
  };
  const cache = new FileCache(target, log);
  const fileCache = (): typeof cache | null => (resizeFileCache() ? cache : null);
  try {
    await runMonitor({ listening, cgroup: scaling.cgroup, fileCache, metrics, log }, signal);
  } finally {
    await cache.close();
  }
}
