import { never } from '../../src/core/abort.ts';
import { Secret } from '../../src/core/secret.ts';
import { withPg } from '../../src/pg/client.ts';
import type { Rig } from './compute.ts';

/** The rows that the compute's superuser gets. */
export const query = (it: Rig, sql: string, database = 'postgres'): Promise<unknown[]> =>
  withPg(
    {
      host: '127.0.0.1',
      port: it.port,
      user: 'cloud_admin',
      password: new Secret(''),
      database,
      options: '',
    },
    { applicationName: 'test', connectMs: 5000, queryMs: 20_000, signal: never },
    async (pg) => (await pg.query<object>(sql)).rows,
  );
