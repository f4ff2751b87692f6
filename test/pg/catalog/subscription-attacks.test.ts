import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { apply, inputFor, query } from './support.ts';

const conf = 'wal_level=logical\nmax_wal_senders=10\nmax_replication_slots=10';
const branch = (timelineId: string) => timelineId.padStart(32, '0');

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  const parts = {
    roles: [{ name: 'ann' }],
    databases: [{ name: 'shop', owner: 'ann' }],
    drop_subscriptions_before_start: true,
  };
  const sql = (text: string, database = 'shop') => query({ ...cluster.target, database }, text);
  const run = (timelineId: string) =>
    apply(
      cluster,
      { ...inputFor(cluster.target, parts), timelineId: branch(timelineId) },
      { limits: { statementMs: 20_000 } },
    );
  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf });
    await run('1');
    await sql('create database source', 'postgres');
    await sql(
      'create table public.t (a int); insert into public.t values (1); create publication p for table t',
      'source',
    );
    await sql('create table public.t (a int)');
  });
  afterAll(() => cluster.stop());

  test('a subscription of a user whose publisher never answers is dropped without a connection to it', async () => {
    let connections = 0;
    const publisher = createServer((socket) => {
      connections++;
      socket.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(publisher, 'listening');
    const { port } = publisher.address() as AddressInfo;
    await sql(
      `create subscription s connection 'host=127.0.0.1 port=${port}' publication p with (connect = false)`,
    );
    // As CREATE SUBSCRIPTION leaves it with a publisher that answered at that time.
    await sql(
      `insert into pg_subscription_rel select oid, 'public.t'::regclass, 'i', null from pg_subscription`,
    );
    await run('2');
    expect(await sql('select from pg_subscription')).toEqual([]);
    expect(await sql('select from pg_subscription_rel')).toEqual([]);
    expect(connections).toBe(0);
    publisher.close();
  });

  test('the slots of a copy that is running stay at the publisher, which on a branch is that of the parent', async () => {
    const slots = () => sql('select slot_name from pg_replication_slots order by 1');
    // The copy does not end.
    await sql(`create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(600); return new; end $$;
      create trigger slow before insert on public.t for each row execute function public.slow();
      alter table public.t enable always trigger slow`);
    await sql(`select pg_create_logical_replication_slot('kept', 'pgoutput')`, 'source');
    await sql(
      `create subscription s connection 'host=127.0.0.1 port=${cluster.port} dbname=source user=cloud_admin' publication p
         with (create_slot = false, slot_name = kept)`,
    );
    await eventually('the copy', async () => (await slots()).length === 2 || undefined);
    const before = await slots();
    await run('3');
    expect(await sql('select from pg_subscription')).toEqual([]);
    expect(await sql('select from pg_replication_origin')).toEqual([]);
    expect(await slots()).toEqual(before);
  });
});
