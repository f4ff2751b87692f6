import { MigrationFailure, migrate } from '../catalog/migrate.ts';
import { migrations } from '../catalog/migration.ts';
import type { Failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { Settings } from './settings.ts';

/** Runs the migrations of the catalog that this cluster has not behind it. Nobody waits for them: the compute runs.
 *  @throws MigrationFailure, counted */
export async function runMigrations(
  { target, privilegedRole }: Settings,
  { log, metrics, failpoints }: { log: Log; metrics: Metrics; failpoints: Failpoints },
  signal: AbortSignal,
): Promise<void> {
  const failing = await failpoints.hit('compute-migration', signal);
  const failAt = failing === null ? null : Number(failing);
  try {
    await migrate(migrations, { target, privilegedRole, log, signal, failAt });
  } catch (error) {
    if (error instanceof MigrationFailure) {
      metrics.inc('compute_ctl_db_migration_failed_total', { migration_id: String(error.migrationId) });
    }
    throw error;
  }
}
