import type { SyncContext } from '../storage/sync.ts';
import { sinkFor } from '../postgres/log-sink.ts';
import { knowsSync } from '../postgres/sync-support.ts';
import { joinLines } from '../postgres/postmaster-log.ts';
import { type StartContext, pathOf } from './context.ts';

/** The input of a safekeeper sync, at the start and at the end.
 *  @param configWritten Postgres finds the safekeepers in `postgresql.conf` */
export function syncContext(
  context: StartContext,
  configWritten: Promise<void>,
  signal: AbortSignal,
): SyncContext {
  const { spec, settings, log, state } = context;
  const joiner = joinLines(sinkFor(settings.logFormat));
  return {
    safekeepers: spec.safekeepers,
    tenantId: spec.tenantId,
    timelineId: spec.timelineId,
    token: spec.spec.storage_auth_token,
    pgbin: settings.bin.path,
    cgroup: settings.vm.scaling?.cgroup.name ?? null,
    pgdata: pathOf(context),
    env: settings.env,
    knowsSync: () => knowsSync(settings.bin, settings.env, signal),
    log,
    track: state.retries.track('safekeepers'),
    onStderrLine: (line) => {
      joiner.add(line);
      joiner.flush();
    },
    beforeRun: configWritten,
    limits: { runMs: settings.syncTimeoutMs, shutdownMs: settings.syncTimeoutMs },
  };
}
