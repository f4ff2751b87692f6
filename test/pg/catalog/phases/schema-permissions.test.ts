import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { installedPostgres } from '../../../support/postgres-versions.ts';
import { type SpecParts, apply, inputFor, query, value } from '../support.ts';

const versions = installedPostgres();

describe.each([versions[0], versions.at(-1)].filter((one) => one !== undefined))(
  'PostgreSQL $major',
  (postgres) => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await startCluster({ postgres });
      await query(cluster.target, 'create role web_access');
    });
    afterAll(() => cluster.stop());

    const sql = (text: string, database: string): Promise<unknown> =>
      query({ ...cluster.target, database }, text);
    const spec = (database: string, rest: SpecParts = {}) =>
      inputFor(cluster.target, {
        roles: [{ name: 'ann' }],
        databases: [{ name: database, owner: 'ann' }],
        ...rest,
      });
    const defaults = (database: string) =>
      value(
        { ...cluster.target, database },
        `select array_agg(defaclobjtype::text || ' ' || (select count(*) from aclexplode(defaclacl) a
      where a.grantee = 'neon_superuser'::regrole and a.is_grantable) order by defaclobjtype::text desc) from pg_default_acl`,
      );
    const visits = async (database: string): Promise<number> => {
      const { outcomes } = await apply(cluster, spec(database));
      return outcomes.filter(({ phase, result }) => phase === 'schema-permissions' && result === 'done')
        .length;
    };
    const expected = postgres.major >= 17 ? ['r 8', 'S 3'] : ['r 7', 'S 3'];

    test('what the superuser makes in public is open to the privileged role', async () => {
      await apply(cluster, spec('fresh'));
      expect(await defaults('fresh')).toEqual(expected);
      const owner = await value(
        { ...cluster.target, database: 'fresh' },
        `select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'public'`,
      );
      expect(owner).toBe(postgres.major >= 15 ? 'pg_database_owner' : 'ann');
      const granted = `select exists (select from pg_namespace n, aclexplode(nspacl) a
      where nspname = 'public' and a.grantee = 'web_access'::regrole and a.privilege_type = 'CREATE')`;
      expect(await value({ ...cluster.target, database: 'fresh' }, granted)).toBe(postgres.major >= 15);
      expect(await visits('fresh')).toBe(0);
    });

    test('a schema that was dropped and made anew is seen to again', async () => {
      await apply(cluster, spec('anew'));
      await sql('drop schema public', 'anew');
      expect(await visits('anew')).toBe(0);
      await sql('create schema public authorization ann', 'anew');
      expect(await visits('anew')).toBe(1);
      expect(await defaults('anew')).toEqual(expected);
      expect(await visits('anew')).toBe(0);
    });

    test("another role's default privileges are not taken for ours", async () => {
      await apply(cluster, spec('other'));
      await sql(
        `alter default privileges for role cloud_admin in schema public revoke all on tables from neon_superuser;
      alter default privileges for role ann in schema public grant select on tables to neon_superuser`,
        'other',
      );
      expect(await visits('other')).toBe(1);
      expect(await visits('other')).toBe(0);
    });

    test('a partial loss shows only when every database is verified', async () => {
      await apply(cluster, spec('partial'));
      await sql(
        'alter default privileges in schema public revoke delete on tables from neon_superuser',
        'partial',
      );
      expect(await visits('partial')).toBe(0);
      await apply(cluster, { ...spec('partial'), verify: true });
      expect(await defaults('partial')).toEqual(expected);
      expect((await apply(cluster, { ...spec('partial'), verify: true })).statements).toBe(0);
    });
  },
);
