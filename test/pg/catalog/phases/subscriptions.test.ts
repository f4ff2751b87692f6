import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { apply, inputFor, query, timeline } from '../support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ conf: 'max_logical_replication_workers=0' });
});
afterAll(() => cluster.stop());

const sql = (text: string, database = 'postgres'): Promise<unknown> =>
  query({ ...cluster.target, database }, text);
const subscribe = (database: string, name: string) =>
  sql(
    `create subscription ${name} connection 'host=/nowhere' publication p with (connect = false, slot_name = kept)`,
    database,
  );
const left = async () =>
  (await query(cluster.target, 'select subname from pg_subscription order by 1')).map(
    (row) => row['subname'],
  );

test('inherited subscriptions are dropped once per timeline, later ones stay', async () => {
  const databases = ['sub1', 'sub2', 'sub3', 'sub4'].map((name) => ({ name, owner: 'cloud_admin' }));
  const parts = { databases, drop_subscriptions_before_start: true };
  await apply(cluster, inputFor(cluster.target, { databases }));
  for (const { name } of databases) await subscribe(name, `"of ${name}"`);
  await sql('create database unlisted');
  await subscribe('unlisted', 'stays');
  await apply(cluster, inputFor(cluster.target, parts));
  expect(await left()).toEqual(['stays']);
  expect(await query(cluster.target, 'select id, timeline_id from neon.drop_subscriptions_done')).toEqual([
    { id: 1, timeline_id: timeline },
  ]);

  await subscribe('sub1', 'later');
  expect((await apply(cluster, inputFor(cluster.target, parts))).statements).toBe(0);
  expect(await left()).toEqual(['later', 'stays']);

  const branch = { ...inputFor(cluster.target, parts), timelineId: '0944cacdd3ab0e452e271ae1e0a73626' };
  await apply(cluster, branch);
  expect(await left()).toEqual(['stays']);
  expect(await query(cluster.target, 'select timeline_id from neon.drop_subscriptions_done')).toEqual([
    { timeline_id: branch.timelineId },
  ]);
});

test('a database with a subscription can be deleted, also when it was renamed just before', async () => {
  await sql('create database busy');
  await subscribe('busy', `"nasty ""name"" $x$"`);
  await apply(
    cluster,
    inputFor(cluster.target, {
      delta_operations: [
        { action: 'rename_db', name: 'busy', new_name: 'busy2' },
        { action: 'delete_db', name: 'busy2' },
      ],
    }),
  );
  expect(await query(cluster.target, `select 1 from pg_database where datname ~ '^busy'`)).toEqual([]);
  expect(await left()).not.toContain('nasty "name" $x$');
});
