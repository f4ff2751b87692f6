import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { confValue, settingName } from '../../../src/postgres/conf-syntax.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { clientOptions } from './servers.ts';

let it: Cluster;
let conf: string;
let original: string;
beforeAll(async () => {
  it = await startCluster();
  conf = join(it.dataDir, 'postgresql.conf');
  original = readFileSync(conf, 'utf8');
});
afterAll(() => it.stop());

/** What PostgreSQL makes of the lines: the value of the last one that sets `name`, or that it refuses the file. */
async function asServer(lines: string, name: string): Promise<string | null> {
  writeFileSync(conf, original);
  appendFileSync(conf, `${lines}\n`);
  const { rows } = await withPg(it.target, clientOptions, (pg) =>
    pg.query<{ name: string | null; setting: string | null; error: string | null }>(
      'select name, setting, error from pg_catalog.pg_file_settings order by seqno',
    ),
  );
  if (rows.some(({ error }) => error === 'syntax error')) return 'refused';
  return rows.findLast((row) => row.name?.toLowerCase() === name)?.setting ?? null;
}

test.each([
  "my.x = 'a'",
  'MY.X = b',
  'my.x 5',
  "my.x'5'",
  "my.x = 'it''s \\\\ \\'me\\''",
  "my.x = '\\101\\t\\303\\251\\q'",
  "my.x = 'é' # comment",
  'my.x = é',
  'my.x = 64MB#comment',
  'my.x = -5\t\r',
  'my.x = +0x1F',
  'my.x = 1.5e3',
  'my.x = .5',
  'my.x = scram-sha-256',
  'my.x = a/b:c.d-e',
  'my.x = 1\nmy.x = 2',
  "#my.x = 'a'",
  "my.y = 'my.x = 1'",
  '   my.x=   on   ',
])('the lines %j are read as PostgreSQL reads them', async (lines) => {
  expect(await asServer(lines, 'my.x')).toBe(confValue(lines, 'my.x'));
});

test.each([
  'my.x = a.b',
  'my.x = 1.5MB',
  'my.x = 1e5',
  'my.x = 1 2',
  'my.x-1',
  'my.x',
  'my.x =',
  "my.x = 'a' 'b'",
  "my.x = 'a",
  'my.x = /tmp',
  'my.x.y = 1',
  'my.x == 1',
])('the line %j, for which PostgreSQL refuses the file, is passed over', async (line) => {
  expect(await asServer(line, 'my.x')).toBe('refused');
  expect(confValue(line, 'my.x')).toBeNull();
});

test.each(['my.a_1', 'my.é', 'my.a$b', 'a.b.c', 'my.1a', 'my-a'])(
  'the name %s is accepted only if PostgreSQL can read it',
  async (name) => {
    const accepted = (): boolean => {
      try {
        return settingName(name, 'spec') === name;
      } catch {
        return false;
      }
    };
    expect(accepted()).toBe((await asServer(`${name} = 1`, name)) !== 'refused');
  },
);
