import { afterAll, beforeAll, expect, test } from 'vitest';
import { inline } from '../../../src/core/errors.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { apply, inputFor, query } from './support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await query(cluster.target, 'create role helper login superuser');
});
afterAll(() => cluster.stop());

const rename = (from: string, to: string): Promise<unknown> =>
  query({ ...cluster.target, user: 'helper' }, `alter role ${from} rename to ${to}`);

test('a cluster of the earliest days, whose superuser has another name, is given ours', async () => {
  await rename('cloud_admin', 'zenith_admin');
  const target = { ...cluster.target, options: '-c role=cloud_admin' };
  const input = inputFor(target, { roles: [{ name: 'ann', encrypted_password: null }] });
  await apply(cluster, input, { target });
  expect(
    await query(
      target,
      `select rolsuper, pg_has_role('cloud_admin', 'zenith_admin', 'member') as member
      from pg_roles where rolname = 'cloud_admin'`,
    ),
  ).toEqual([{ rolsuper: true, member: true }]);
  expect(await query(target, "select from pg_roles where rolname = 'ann'")).toHaveLength(1);
  expect((await apply(cluster, input, { target })).statements).toBe(0);
});

test('where nobody can log in, the reason is that of our own superuser', async () => {
  const target = { ...cluster.target, user: 'nobody_here' };
  await rename('zenith_admin', 'somebody_else');
  const failure = await apply(cluster, inputFor(target, {}), { target }).catch((error: unknown) => error);
  expect(inline(failure)).toMatch(/^broken nobody_here credential: .*role "nobody_here" does not exist/);
});
