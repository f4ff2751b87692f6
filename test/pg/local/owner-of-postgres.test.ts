import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureSlot, identify } from '../../../src/local/storage/compute-link.ts';
import { startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { never, query } from '../catalog/support.ts';

test.each(installedPostgres())(
  'nothing that the owner of the system database puts into it runs in a session of the storage, PostgreSQL $major',
  async (postgres) => {
    const cluster = await startCluster({ postgres });
    const socket = { dir: join(dirname(cluster.dataDir), 'run'), port: cluster.port };
    try {
      await query(cluster.target, 'create role owner login; alter database postgres owner to owner');
      const trap = `language plpgsql as $$ begin raise log 'SPRUNG as %', session_user; return true; end $$`;
      await query(
        { ...cluster.target, user: 'owner' },
        `create schema evil;
         create function evil.f() returns bool ${trap};
         create domain evil.text as pg_catalog.text check (evil.f() or value is null);
         create function evil.is(name, name) returns bool ${trap};
         create operator evil.= (leftarg = name, rightarg = name, function = evil.is);
         alter database postgres set search_path = evil, pg_catalog`,
      );
      expect((await identify(socket, never))?.systemId).toMatch(/^[0-9]+$/);
      await ensureSlot(socket, never);
      await ensureSlot(socket, never);
      expect(cluster.log()).not.toContain('SPRUNG');
    } finally {
      await cluster.stop();
    }
  },
);
