import { expect, test } from 'vitest';
import { rig } from '../support/compute.ts';
import { installedPostgres } from '../support/postgres-versions.ts';

test.each(installedPostgres())(
  'on PostgreSQL $major a compute starts, is configured and leaves',
  async (postgres) => {
    const it = await rig(postgres);
    try {
      const spec = it.spec();
      const cluster = spec['cluster'] as { roles: object[]; databases: object[] };
      cluster.roles = [{ name: 'app', encrypted_password: null, options: null }];
      cluster.databases = [{ name: 'shop', owner: 'app', options: null }];
      const program = it.start({ spec });
      await it.until('running');
      expect((await it.http('POST', '/configure', it.config(spec))).status).toBe(200);
      program.kill('SIGTERM');
      expect(await program.exited()).toBe(0);
      expect(program.stderr()).toContain('database system is shut down');
    } finally {
      await it.stop();
    }
  },
);
