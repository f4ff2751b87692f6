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
  start: async (_, deps) => inBackground(deps, { name: 'migrations', work: (signal) => run(deps, signal) }),
};

/** @throws MigrationFailure, counted */
async function run(
  { settings: { target, privilegedRole }, log, metrics, failpoints }: ServiceDeps,
  signal: AbortSignal,
): Promise<void> {
  const failing = await failpoints.hit('compute-migration', signal);
  const failAt = failing === null ? null : Number(failing);
  try {
    await migrate(all, { target, privilegedRole, log, signal, failAt });
  } catch (error) {
    if (error instanceof MigrationFailure) {
      metrics.inc('compute_ctl_db_migration_failed_total', { migration_id: String(error.migrationId) });
    }
    throw error;
  }
}
