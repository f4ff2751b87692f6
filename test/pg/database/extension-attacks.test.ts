import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { installExtension } from '../../../src/database/install-extension.ts';
import { startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { scratchDir } from '../../support/scratch.ts';
import { apply, inputFor, never, query, value } from '../catalog/support.ts';

// From 18 on the server finds extensions outside of its own directories; 14 to 16 have the setting in every session of ours.
test.each(installedPostgres().filter(({ major }) => major >= 18))(
  'a trigger of a user on a table of an extension does not run when /extensions updates it, PostgreSQL $major',
  async (postgres) => {
    const dir = scratchDir('extension');
    const files = {
      'thing.control': `default_version = '1'`,
      'thing--1.sql': 'create table places (a int); insert into places values (1);',
      'thing--1--2.sql': 'update places set a = 2;',
    };
    mkdirSync(join(dir, 'extension'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, 'extension', name), text);
    const cluster = await startCluster({ postgres, conf: `extension_control_path='${dir}'` });
    const shop = { ...cluster.target, database: 'shop' };
    const wanted = { database: 'shop', extension: 'thing' };
    try {
      await apply(
        cluster,
        inputFor(cluster.target, { roles: [{ name: 'ann' }], databases: [{ name: 'shop', owner: 'ann' }] }),
      );
      await installExtension({ ...wanted, version: '1' }, cluster.target, never);
      await query(
        { ...shop, user: 'ann' },
        `create function public.f() returns trigger language plpgsql as $$ begin raise log 'SPRUNG as %', session_user; return new; end $$;
         create trigger t before update on public.places for each row execute function public.f()`,
      );
      await installExtension({ ...wanted, version: '2' }, cluster.target, never);
      expect(await value(shop, 'select a from public.places')).toBe(2);
      expect(cluster.log()).not.toContain('SPRUNG');
    } finally {
      await cluster.stop();
    }
  },
);
