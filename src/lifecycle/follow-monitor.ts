import type { Lifecycle, StatusChange } from '../core/lifecycle.ts';
import { isTerminating } from '../core/status.ts';
import type { Monitor } from '../monitor/monitor.ts';

/** Runs the monitor as long as Postgres: from the first time the compute is `running`, also while it is `failed` after a
 *  bad reconfiguration, until Postgres is being stopped or has ended.
 *  @param exited resolves when the current Postgres has ended; called once, when the compute is first `running` */
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
