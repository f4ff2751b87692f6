import { defineConfig } from 'vitest/config';
import { migrationsForTests } from './scripts/migrations-plugin.mjs';

/** Of `expect.poll`; its default of one second is too tight for a machine that does other things. */
const patient = { poll: { timeout: 30_000 } };

/** Unit tests share one process (they are pure and quick); tests with a real Postgres and with the built
 *  program run file by file on few workers, because they start servers and the machines have two cores. */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        plugins: [migrationsForTests],
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          isolate: false,
          testTimeout: 60_000,
          expect: patient,
        },
      },
      {
        plugins: [migrationsForTests],
        test: {
          name: 'pg',
          include: ['test/pg/**/*.test.ts'],
          setupFiles: ['test/support/as-os-user.ts'],
          // As the executable has it: some tests look at how much memory hostile servers cost.
          execArgv: ['--max-semi-space-size=2'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          expect: patient,
        },
      },
      {
        plugins: [migrationsForTests],
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          // A limit only for what hangs: on a busy machine a start can take half a minute, and tests have several.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          expect: patient,
        },
      },
      {
        // Not part of `npm test`: it needs Chromium.
        plugins: [migrationsForTests],
        test: {
          name: 'browser',
          include: ['test/browser/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: patient,
        },
      },
      {
        // Not part of `npm test`.
        plugins: [migrationsForTests],
        test: {
          name: 'kills',
          include: ['test/kills/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          expect: patient,
        },
      },
      {
        // Minutes; not part of `npm test`.
        plugins: [migrationsForTests],
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          expect: patient,
        },
      },
      {
        // Not part of `npm test`.
        plugins: [migrationsForTests],
        test: {
          name: 'image',
          include: ['test/image/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          expect: patient,
        },
      },
    ],
  },
});
