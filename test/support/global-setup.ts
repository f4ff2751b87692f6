import { preparePostgres } from './postgres-versions.ts';

/** Once per test run: makes every PostgreSQL that can be had usable by the OS user the servers run as. */
export default async function setup(): Promise<void> {
  await preparePostgres();
}
