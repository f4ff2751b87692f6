import { joinCache, testCache } from '../../scripts/shared-cache.mjs';
import { preparePostgres } from './postgres-versions.ts';
import { makeRunHome } from './scratch.ts';

/** Once per test run: makes every PostgreSQL that can be had usable by the OS user the servers run as. At its end, whether
 *  tests have failed or not, what this run has made is removed. */
export default async function setup(): Promise<() => void> {
  const leaveCache = joinCache(testCache, false);
  const removeHome = makeRunHome();
  const end = (): void => {
    removeHome();
    leaveCache();
  };
  try {
    await preparePostgres();
  } catch (error) {
    end();
    throw error;
  }
  return end;
}
