import { withLinked } from '../core/abort.ts';
import { MigrationFailure, migrate } from '../catalog/migrate.ts';
import { migrations as all } from '../catalog/migration.ts';
import { inBackground } from './forms.ts';
import type { Service, ServiceDeps } from './service.ts';

/** Runs the catalog migrations that this cluster does not have yet, in the background, while the compute runs. */
export const migrations: Service<true> = {
  name: 'migrations',
  when: 'after-ready',
  once: true,
  wants: ({ mode, spec }) => (mode.kind === 'primary' && !spec.skip_pg_catalog_updates ? true : null),
  start: async (_, deps) =>
    inBackground(deps, { name: 'migrations', work: (signal) => untilStop(deps, signal) }),
};

/** Stopped with the compute: Postgres then ends their session, which is not a failure of theirs. */
async function untilStop(deps: ServiceDeps, signal: AbortSignal): Promise<void> {
  const { stopAsked, log } = deps;
  try {
    await withLinked([signal, stopAsked], (either) => run(deps, either));
  } catch (error) {
    if (!stopAsked.aborted) throw error;
    log.info(
      'the migrations were stopped before their end, with the compute: the next start continues with them',
    );
  }
}

/** @throws MigrationFailure, counted; AbortError */
async function run(
  { settings: { target, privilegedRole }, log, metrics, failpoints }: ServiceDeps,
  signal: AbortSignal,
): Promise<void> {
  const failing = await failpoints.hit('compute-migration', signal);
  const failAt = failing === null ? null : Number(failing);
  try {
    await migrate(all, { target, privilegedRole, log, signal, failAt });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MigrationFailure) {
      metrics.inc('compute_ctl_db_migration_failed_total', { migration_id: String(error.migrationId) });
    }
    throw error;
  }
}
