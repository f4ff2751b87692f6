import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownDatabase } from '../../../src/database/api.ts';
import { inline } from '../../../src/core/errors.ts';
import { identify } from '../../../src/local/storage/compute-link.ts';
import { type PgClient, connectPg } from '../../../src/pg/client.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { FileCache } from '../../../src/vm-monitor/file-cache.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { type Installed, oldestAndNewest } from '../../support/postgres-versions.ts';
import { migrateAll } from '../catalog/migrate-all.ts';
import { eventually } from '../../support/program.ts';
import { apply, inputFor, never, query, scram, silent } from '../catalog/support.ts';
import { brisk, checked, figure, watched } from '../monitor/support.ts';
import { type Trial, attach, detach, rounds, sets } from './settings.ts';

/** How many values are attached at once; when something fails, they are tried one by one, to name the one. */
const together = 40;
const databases = ['app', 'postgres', 'template1'];

describe.each(oldestAndNewest().map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (major, postgres) => {
    let cluster: Cluster;
    /** Logged in before anything is attached, so that nothing of it reaches this session. */
    let pg: PgClient;
    beforeAll(async () => {
      cluster = await startCluster({
        postgres,
        conf: `neon.file_cache_size_limit = 0\nneon.max_file_cache_size = '2GB'`,
      });
      await query(cluster.target, 'create role tenant login');
      pg = await connectPg(cluster.target, { applicationName: 'test', connectMs: 10_000, signal: never });
    });
    afterAll(async () => {
      await pg.end();
      await cluster.stop();
    });

    const until = { name: 'VALID UNTIL', value: '2031-02-03 04:05:06+02', vartype: 'string' };
    const lasting = {
      roles: [{ name: 'ann', encrypted_password: scram('a'), options: [until] }, { name: 'heir' }],
      databases: ['app', 'postgres'].map((name) => ({ name, owner: 'heir' })),
    };
    const specOf = (): ReturnType<typeof inputFor> => inputFor(cluster.target, lasting);
    const known = (): { target: Cluster['target'] } => ({ target: { ...cluster.target, major } });
    const dumped = async (): Promise<string> => {
      const bin = {
        path: '',
        dir: postgres.bindir,
        major,
        version: '',
        sibling: (name: string) => join(postgres.bindir, name),
      };
      const env = { PATH: process.env['PATH'] };
      const settings = { ...known(), bin, env, pgdata: cluster.dataDir };
      const dump = await text(await ownDatabase(settings, pino({ level: 'silent' })).schema('app', never));
      // From the releases of August 2025 on, psql's restricted mode has another key in each dump.
      return dump.replaceAll(/^\\(un)?restrict .*$/gm, '');
    };

    let number = 0;
    /** What the attached values may not disturb. @throws what failed, or an assertion */
    async function everything(before: string): Promise<void> {
      await apply(cluster, specOf(), { ...known() });
      expect((await apply(cluster, { ...specOf(), verify: true }, known())).statements).toBe(0);
      expect((await apply(cluster, specOf(), {})).statements).toBe(0);
      // A change in each place: a role with a date, and one that owns something and goes.
      const leaving = `leaving${++number}`;
      await pg.query(`create role ${leaving}; alter database template1 owner to ${leaving}`);
      const verifier = scram(`secret ${number}`);
      const changed = {
        ...lasting,
        roles: [...lasting.roles, { name: 'changing', encrypted_password: verifier, options: [until] }],
        delta_operations: [{ action: 'delete_role', name: leaving }],
      };
      await apply(cluster, inputFor(cluster.target, changed), known());
      const { rows } = await pg.query('select 1 from pg_roles where rolname = $1', [leaving]);
      expect(rows).toEqual([]);
      const { rows: stored } = await pg.query<{ one: string }>(
        `select rolpassword || ' ' || (rolvaliduntil at time zone 'UTC')::text as one from pg_authid where rolname = 'changing'`,
      );
      expect(stored).toEqual([{ one: `${verifier} 2031-02-03 02:05:06` }]);
      await pg.query('update neon_migration.migration_id set id = 0');
      await migrateAll(cluster.target, known());
      expect(await dumped()).toBe(before);
      await watched(
        known().target,
        { times: { ...brisk, connectMs: 10_000, queryMs: 10_000 }, useStatistics: () => true },
        async ({ monitor, metrics }) => {
          await checked(metrics, 3);
          expect(monitor.up).toBe(true);
        },
      );
      // The storage of compute-local, and the vm-monitor.
      const link = { dir: join(cluster.dataDir, '../run'), port: cluster.port };
      // It is asked again and again, each time within a limit that a busy machine may not keep.
      const found = await eventually('the storage', async () => (await identify(link, never)) ?? undefined);
      expect(found).toMatchObject({ generation: null });
      const cache = new FileCache(cluster.target, silent);
      expect(await cache.resize(number * mib, never)).toBe(number * mib);
      await cache.close();
      expect(cluster.log()).not.toContain(verifier.slice(-44));
    }

    test('no value of any parameter, on database or role, disturbs a pass, a start, a dump or the monitor', async () => {
      await query({ ...cluster.target, database: 'postgres' }, 'create database app owner tenant');
      await apply(cluster, specOf(), known());
      await migrateAll(cluster.target, known());
      await query(
        { ...cluster.target, database: 'app' },
        `create table public."T" (a int primary key, "B" interval default '1 day 2 hours', c bytea default '\\x00ff', d timestamptz default '2031-02-03 04:05:06+02', e float8 default 0.1)`,
      );
      await query(
        { ...cluster.target, database: 'app' },
        `create view public.v as select a, "B", e * 0.1 as x from public."T" where d > '2030-02-03'`,
      );
      const before = await dumped();
      const parameters = new Set<string>();
      const failed: string[] = [];
      let values = 0;
      const attempt = async (trials: readonly Trial[]): Promise<void> => {
        const accepted = await attach(pg, trials, databases);
        try {
          if (accepted.length > 0) await everything(before);
          values += accepted.length;
          for (const [name] of accepted) parameters.add(name);
        } catch (error) {
          if (accepted.length === 1) {
            failed.push(`${accepted[0]?.join(' = ')}: ${inline(error).slice(0, 400)}`);
            return;
          }
          await detach(pg, databases);
          const middle = Math.ceil(accepted.length / 2);
          const sofar = failed.length;
          await attempt(accepted.slice(0, middle));
          await attempt(accepted.slice(middle));
          if (failed.length === sofar) failed.push(`${accepted.join('; ')} together: ${inline(error)}`);
        } finally {
          await detach(pg, databases);
        }
      };
      for (const round of [...sets, ...(await rounds(pg))])
        for (let at = 0; at < round.length; at += together) await attempt(round.slice(at, at + together));
      figure(
        `PostgreSQL ${major}`,
        `${parameters.size} parameters with ${values} values, ${failed.length} failed`,
      );
      expect(failed).toEqual([]);
      expect(values).toBeGreaterThan(500);
    }, 600_000);
  },
);
