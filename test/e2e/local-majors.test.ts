import { afterEach, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal as query, targetOf } from '../support/local.ts';
import { defaultPostgres, installedPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

let it: LocalRig;
afterEach(async () => {
  await it.command('stop');
  await it.clean();
}, 60_000);

const others = installedPostgres().filter(({ major }) => major !== defaultPostgres().major);

for (const postgres of others) {
  const { major, clientTools } = postgres;
  test.skipIf(!clientTools)(
    `on PostgreSQL ${major} killing everything loses nothing, and a replica takes over`,
    async () => {
      it = localRig(postgres);
      const { to } = await it.upAndReady();
      const [row] = await query(to, "select current_setting('server_version_num')::int / 10000 as major");
      expect(row).toEqual({ major });
      await query(to, 'create table written as select generate_series(1, 1000) as id');
      if (major >= 15) await query(to, 'create unlogged sequence passing start 7');
      for (const what of ['compute_ctl', 'postgres', 'storage'] as const) {
        process.kill(it.pidOf(what) ?? -1, 'SIGKILL');
      }
      const count = async (): Promise<unknown> =>
        (
          await query(
            targetOf((await it.command('url')).stdout.trim()),
            'select count(*)::int as n from written',
          )
        )[0];
      expect(await eventually('the way back', count, 60_000)).toEqual({ n: 1000 });
      // "bad magic number in sequence" after the replay of its creation, until Postgres is started once more.
      const first = async (): Promise<unknown> => (await query(to, "select nextval('passing')::int as n"))[0];
      expect(major < 15 ? { n: 7 } : await eventually('the sequence', first, 60_000)).toEqual({ n: 7 });

      const replica = await it.upAndReady(['--replica']);
      await query(to, 'insert into written select generate_series(1001, 1500)');
      const promoted = await it.command('promote');
      expect([promoted.code, promoted.stderr]).toEqual([0, '']);
      await query(replica.to, 'insert into written values (0)');
      expect(await query(replica.to, 'select count(*)::int as n from written')).toEqual([{ n: 1501 }]);
    },
    180_000,
  );
}
