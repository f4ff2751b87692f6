import { sleep } from '../core/clock.ts';
import { withLinked } from '../core/abort.ts';
import { explained } from '../core/errors.ts';
import { type ExtensionStatistics, collectExtensions } from '../database/installed-extensions.ts';
import { type Loop, inBackground } from './forms.ts';
import type { Service, ServiceDeps } from './service.ts';

/** Counts the extensions in all databases: after the start, after each new spec, and then at an interval.
 *  Wanted is that interval, in seconds. */
export const installedExtensions: Service<number> = {
  name: 'installed-extensions',
  when: 'after-ready',
  // Without a catalog pass, the spec does not set the interval.
  wants: ({ spec, extensionStatsSeconds }, { installedExtensionsSeconds }) =>
    2 * (spec.skip_pg_catalog_updates ? installedExtensionsSeconds : extensionStatsSeconds),
  async start(wanted, deps) {
    let seconds = wanted;
    let again = new AbortController();
    return inBackground<number>(deps, {
      name: 'installed-extensions',
      reconfigure(next) {
        seconds = next;
        again.abort();
      },
      async work(signal, loop) {
        while (!signal.aborted) {
          again = new AbortController();
          await round(deps, loop, signal);
          await withLinked([signal, again.signal], (either) => sleep(seconds * 1000, either)).catch(() => {});
        }
      },
    });
  },
};

/** Quiet while Postgres is being stopped: its databases cannot be read then. */
async function round(deps: ServiceDeps, loop: Loop, signal: AbortSignal): Promise<void> {
  const { settings, log, failpoints, crashing, stopAsked } = deps;
  try {
    await failpoints.pass('compute-installed-extensions', signal);
    const found = await withLinked([signal, stopAsked], (either) =>
      collectExtensions({ target: settings.target, log, crashing }, either),
    );
    report(found, deps);
    const { skipped } = found;
    if (skipped === 0) loop.report('ok');
    else loop.report('degraded', `${skipped} databases are not counted`);
  } catch (error) {
    signal.throwIfAborted();
    if (stopAsked.aborted) return;
    loop.report('failed', explained(error));
    log.warn(`could not count the installed extensions: ${explained(error)}`);
  }
}

function report(found: ExtensionStatistics, { metrics, log, onExtensionStatistics }: ServiceDeps): void {
  const extensions = found.extensions.map((one) => ({
    ...one,
    owned_by_superuser: one.owned_by_superuser ? '1' : '0',
  }));
  metrics.replace(
    'compute_installed_extensions',
    extensions.map(({ extname: extension_name, version, owned_by_superuser, n_databases: value }) => ({
      labels: { extension_name, version, owned_by_superuser },
      value,
    })),
  );
  onExtensionStatistics(found);
  // Log collectors of the original read this line.
  log.info(`[NEON_EXT_STAT] ${JSON.stringify({ extensions })}`);
}
