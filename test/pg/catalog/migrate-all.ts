import { type MigrationDeps, type MigrationResult, migrate } from '../../../src/catalog/migrate.ts';
import { migrations } from '../../../src/catalog/migration.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { never, silent } from './support.ts';

/** Runs all migrations. */
export const migrateAll = (target: PgTarget, deps: Partial<MigrationDeps> = {}): Promise<MigrationResult> =>
  migrate(migrations, { target, privilegedRole: 'neon_superuser', log: silent, signal: never, ...deps });
