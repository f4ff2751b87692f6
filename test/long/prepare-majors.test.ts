import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { never } from '../../src/core/abort.ts';
import { withPg } from '../../src/pg/client.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import { installedPostgres } from '../support/postgres-versions.ts';

let local: LocalRig;
afterEach(() => local.clean(), 60_000);

test.each(installedPostgres().filter(({ clientTools }) => clientTools))(
  'on PostgreSQL $major a wake uses what was prepared, again and again',
  async (postgres) => {
    local = localRig(postgres);
    const { program, to } = await local.upAndReady(['--suspend-after', '500ms']);
    const options = { applicationName: 'test', connectMs: 60_000, queryMs: 60_000, signal: never };
    const query = (sql: string) => withPg(to, options, async (pg) => (await pg.query(sql)).rows as unknown[]);
    const count = (event: string): number => program.stdout().split(`"event":"${event}"`).length - 1;
    await query('create table kept (n int)');
    for (let round = 1; round <= 3; round++) {
      await expect.poll(() => count('prepared'), { timeout: 60_000 }).toBe(round);
      await query(`insert into kept values (${round})`);
      expect(await query('select count(*)::int as n from kept')).toEqual([{ n: round }]);
    }
    expect(count('not-prepared')).toBe(0);
    const log = readFileSync(join(local.dir, 'log/compute_ctl.log'), 'utf8');
    expect(log.split('a base backup is not needed')).toHaveLength(4);
  },
);
