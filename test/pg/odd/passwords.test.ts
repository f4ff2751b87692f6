import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { apply, inputFor, query, scram } from '../catalog/support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

test('a role whose password is empty or a placeholder has none, and a second pass writes nothing', async () => {
  const given = ['', 'SCRAM-SHA-256$0:$:', 'SCRAM-SHA-256$4096:c2FsdA==$:'];
  const named = (passwords: readonly string[]): ReturnType<typeof inputFor> =>
    inputFor(cluster.target, {
      roles: passwords.map((encrypted_password, at) => ({ name: `r${at}`, encrypted_password })),
    });
  await apply(cluster, named(given.map((_, at) => scram(`${at}`))));
  await apply(cluster, named(given));
  const stored = await query(
    cluster.target,
    `select rolcanlogin, rolpassword from pg_authid where rolname ~ '^r[0-9]$'`,
  );
  expect(stored).toEqual(given.map(() => ({ rolcanlogin: true, rolpassword: null })));
  expect((await apply(cluster, named(given))).statements).toBe(0);
});
