import { afterAll, beforeAll, expect, test } from 'vitest';
import { runPlan } from '../../../src/catalog/render.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, md5, never, query, scram, withoutWrite } from './support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ conf: 'log_statement=mod' });
});
afterAll(() => cluster.stop());

const parts = {
  roles: [
    { name: 'ann', encrypted_password: scram('s') },
    { name: 'bob', encrypted_password: md5('s', 'bob') },
  ],
  databases: [{ name: 'shop', owner: 'ann' }],
};

test('the plan lists the statements by phase and database, masked, writes nothing, and ends when there is nothing left', async () => {
  const input = inputFor(cluster.target, parts);
  const plan = (json: boolean) => runPlan(input, { target: cluster.target, signal: never, json });
  const { exitCode, text } = await plan(false);
  expect(exitCode).toBe(3);
  expect(text).toContain(
    `-- passwords, in database "postgres"\n--   set password role "bob"\nalter role "bob" password '***';`,
  );
  expect(text).toContain(
    '-- databases, in database "postgres"\n--   create database "shop"\ncreate database "shop";\n--   grant database "shop"\n' +
      'grant all privileges on database "shop" to "neon_superuser";\nalter database "shop" owner to "ann";',
  );
  expect(text).toContain('-- schema-permissions, in database "shop"');
  expect(text).toContain(
    '-- left alone by neon-extension: extension "neon": the server does not load the library "neon"',
  );
  expect(text).not.toMatch(/SCRAM-SHA-256|md5[0-9a-f]{32}/);
  const json = JSON.parse((await plan(true)).text) as {
    changes: number;
    groups: { phase: string; database: string }[];
  };
  expect(json.changes).toBeGreaterThan(5);
  expect(json.groups.map(({ phase, database }) => `${phase} ${database}`)).toEqual([
    'privileged-role postgres',
    'roles postgres',
    'passwords postgres',
    'databases postgres',
    'neon-schema postgres',
    'schema-permissions shop',
  ]);
  await withoutWrite(cluster, () => plan(false));
  await apply(cluster, input);
  expect(await plan(false)).toMatchObject({ exitCode: 0, text: expect.stringContaining('Nothing to do') });
});

test('a spec that cannot be applied is refused here too', async () => {
  const input = inputFor(cluster.target, { roles: [{ name: 'pg_x' }] });
  await expect(runPlan(input, { target: cluster.target, signal: never, json: false })).rejects.toMatchObject({
    code: 'spec_invalid',
  });
});

test.each(installedPostgres().filter(({ major }) => major >= 17))(
  'no login trigger runs when a plan is made for a server that nothing is known of, PostgreSQL $major',
  async (postgres) => {
    const other = await startCluster({ postgres });
    try {
      await query(
        other.target,
        `create function public.f() returns event_trigger language plpgsql as $$ begin raise log 'SPRUNG'; end $$;
         create event trigger e on login execute function public.f(); alter event trigger e enable always`,
      );
      const { major: _, ...target } = other.target;
      const plan = await runPlan(inputFor(target, {}), { target, signal: never, json: false });
      expect(plan.exitCode).toBe(3);
      expect(other.log()).not.toContain('SPRUNG');
    } finally {
      await other.stop();
    }
  },
);
