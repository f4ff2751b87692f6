import { reportCoreDumps } from '../postgres/core-dumps.ts';
import { coreLimit } from '../process/core-limit.ts';
import { done, inBackground } from './forms.ts';
import type { Service } from './service.ts';

/** Removes the old data directories that this start and earlier ones moved aside. */
export const earlierPgdata: Service<true> = {
  name: 'earlier-pgdata',
  when: 'after-ready',
  once: true,
  wants: () => true,
  start: async (_, deps) =>
    inBackground(deps, {
      name: 'removing an earlier PGDATA',
      work: async (signal) => deps.pgdata()?.cleanUp(signal),
    }),
};

/** Where the kernel puts them on the machines of lakebase mode. */
const lakebaseDumps = '/databricks/logs/brickstore';

/** The backtraces have a limit of their own. */
const debuggersMs = 65_000;

/** Looks for core dumps once Postgres has ended, also after a failed start. */
export const coreDumps: Service<true> = {
  name: 'core-dumps',
  when: 'beside-postgres',
  stopLimitMs: debuggersMs,
  once: true,
  wants: () => true,
  start: async (_, { settings, log, pgdata }) => {
    const limit = await coreLimit();
    if (limit !== 'unlimited')
      log.warn(
        `core dumps of Postgres are limited to ${limit} bytes, which is the hard limit of this process`,
      );
    return done(async (signal) => {
      const path = settings.lakebase === null ? pgdata()?.path : lakebaseDumps;
      if (path !== undefined) await reportCoreDumps(path, settings.bin.path, log, signal);
    });
  },
};
