import type { Lifecycle, StatusChange } from '../core/lifecycle.ts';
import { isTerminating } from '../core/status.ts';
import type { Monitor } from '../monitor/monitor.ts';

/** Lets the monitor live as long as Postgres: from the first time the compute runs, also while it is `failed` by a bad
 *  reconfiguration, until Postgres is told to end or has ended.
 *  @param exited resolves when the Postgres of this moment has ended; called once, when the compute runs */
export function followLifecycle(
  monitor: Monitor,
  lifecycle: Lifecycle,
  exited: () => Promise<unknown> | undefined,
): void {
  const listener = ({ to }: StatusChange): void => {
    if (to === 'running' && !monitor.begun) {
      monitor.begin();
      void exited()?.then(() => monitor.postgresExited());
    }
    if (isTerminating(to)) {
      lifecycle.changed.off('status', listener);
      void monitor.stop();
    }
  };
  lifecycle.changed.on('status', listener);
}
