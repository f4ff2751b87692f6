import { expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { apply, inputFor, md5, query, scram } from './support.ts';
import { cuttingProxy } from './cutting-proxy.ts';

const before = {
  roles: [{ name: 'stays' }, { name: 'old' }, { name: 'leaving' }],
  databases: [
    { name: 'keep', owner: 'stays' },
    { name: 'going', owner: 'stays' },
  ],
};
const after = {
  roles: [
    { name: 'stays', encrypted_password: scram('a') },
    { name: 'new', encrypted_password: md5('b', 'new') },
    { name: 'fresh1', encrypted_password: scram('c') },
    { name: 'fresh2', encrypted_password: scram('d') },
  ],
  databases: [
    { name: 'keep', owner: 'new' },
    { name: 'made1', owner: 'fresh1' },
    { name: 'made2', owner: 'fresh2' },
  ],
  operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
  delta_operations: [
    { action: 'rename_role', name: 'old', new_name: 'new' },
    { action: 'delete_db', name: 'going' },
    { action: 'delete_role', name: 'leaving' },
  ],
  drop_subscriptions_before_start: true,
};

const databases = ['postgres', 'keep', 'made1', 'made2'];

/** Everything that the passes leave behind, without what differs from cluster to cluster. */
async function snapshot(cluster: Cluster): Promise<unknown> {
  const shared = await query(
    cluster.target,
    `select
    (select json_agg(json_build_array(rolname, rolcanlogin, rolcreatedb, rolcreaterole, rolinherit, rolbypassrls, rolreplication, rolpassword) order by rolname) from pg_authid) as roles,
    (select json_agg(json_build_array(roleid::regrole, member::regrole) order by roleid::regrole::text, member::regrole::text) from pg_auth_members) as members,
    (select json_agg(json_build_array(datname, datdba::regrole, datacl::text) order by datname) from pg_database) as databases,
    (select json_agg(subname order by subname) from pg_subscription) as subscriptions,
    (select json_agg(digest) from neon_migration.operation_done) as operations,
    (select json_agg(timeline_id) from neon.drop_subscriptions_done) as timelines`,
  );
  const inside = [];
  for (const database of databases) {
    inside.push(
      await query(
        { ...cluster.target, database },
        `select
      (select json_agg(json_build_array(defaclobjtype::text, defaclacl::text) order by defaclobjtype::text) from pg_default_acl) as defaults,
      (select json_agg(json_build_array(relname, relowner::regrole, relacl::text) order by relname) from pg_class c
        join pg_namespace n on n.oid = relnamespace where nspname = 'public') as tables`,
      ),
    );
  }
  return { shared, inside };
}

/** Brings the cluster to what it was before anything was applied, then to where the passes under test begin. */
async function prepare(cluster: Cluster): Promise<void> {
  const inside = (database: string, text: string): Promise<unknown> =>
    query({ ...cluster.target, database }, text);
  const subscriptions = await query<{ name: string; database: string }>(
    cluster.target,
    'select quote_ident(subname) as name, datname as database from pg_subscription join pg_database d on d.oid = subdbid',
  );
  for (const { name, database } of subscriptions) {
    await inside(database, `alter subscription ${name} set (slot_name = none)`);
    await inside(database, `drop subscription ${name}`);
  }
  for (const name of ['keep', 'going', 'made1', 'made2']) {
    await query(cluster.target, `drop database if exists ${name} with (force)`);
  }
  await query(cluster.target, 'drop schema if exists neon, neon_migration cascade');
  const roles = await query<{ names: string | null }>(
    cluster.target,
    `select string_agg(quote_ident(rolname), ', ') as names from pg_roles where oid >= 16384`,
  );
  if (typeof roles[0]?.names === 'string') {
    await query(cluster.target, `drop owned by ${roles[0].names} cascade; drop role ${roles[0].names}`);
  }
  await apply(cluster, inputFor(cluster.target, before));
  await inside(
    'keep',
    `create table public.precious (a int); insert into public.precious values (1);
    alter table public.precious owner to leaving; grant select on public.precious to neon_superuser with grant option;
    create subscription s connection 'host=/nowhere' publication p with (connect = false)`,
  );
  await inside(
    'going',
    `create subscription t connection 'host=/nowhere' publication p with (connect = false)`,
  );
}

test.each(['before', 'after'] as const)(
  'a connection that breaks %s any message is made up for by the next pass, and no table is lost',
  { timeout: 300_000 },
  async (when) => {
    const cluster = await startCluster({ conf: 'max_logical_replication_workers=0\nautovacuum=off' });
    try {
      const input = inputFor(cluster.target, after);
      await prepare(cluster);
      await apply(cluster, input);
      const expected = await snapshot(cluster);
      let at = 0;
      for (let done = false; !done;) {
        at++;
        await prepare(cluster);
        const proxy = await cuttingProxy(cluster.port, at, when);
        const work = apply(cluster, input, { target: { ...cluster.target, port: proxy.port } });
        const outcome = await work.catch((error: unknown) => error);
        done = !proxy.cut;
        await proxy.close();
        expect(outcome instanceof Error).toBe(!done);
        expect(await query({ ...cluster.target, database: 'keep' }, 'table public.precious')).toEqual([
          { a: 1 },
        ]);
        // On the same server, where a statement of the broken connection may still run.
        await apply(cluster, { ...input, stage: 'reconfigure' });
        expect(await snapshot(cluster)).toEqual(expected);
        expect(await query({ ...cluster.target, database: 'keep' }, 'table public.precious')).toEqual([
          { a: 1 },
        ]);
      }
      expect(at).toBeGreaterThan(15);
    } finally {
      await cluster.stop();
    }
  },
);
