import { array, assert, asyncProperty, constantFrom, oneof, string } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { body, ident, literal, nameFault, sql } from '../../../src/core/sql.ts';
import { type PgClient, connectPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { never } from './support.ts';

let cluster: Cluster;
let pg: PgClient;
beforeAll(async () => {
  cluster = await startCluster();
  pg = await connectPg(cluster.target, { applicationName: 'test', connectMs: 5000, signal: never });
});
afterAll(async () => {
  await pg.end();
  await cluster.stop();
});

const nasty = constantFrom(
  "'",
  '"',
  '\\',
  '$',
  '$$',
  '$x$',
  'x',
  '$1',
  '%',
  '%I',
  ';',
  '--',
  '/*',
  '*/',
  '\n',
  '\t',
  ' ',
  '🐘',
  'é',
  "''",
  '""',
  "E'",
  'U&"',
  '\u2028',
);
const text = array(oneof(nasty, string({ unit: 'binary', maxLength: 4 })), { maxLength: 12 }).map((parts) =>
  parts.join(''),
);
const storable = text.filter((one) => !one.includes('\0'));
const name = text.filter((one) => nameFault(one) === null);

test.each(['on', 'off'])(
  'every value arrives as it was, with standard_conforming_strings %s',
  async (setting) => {
    await pg.query(`set standard_conforming_strings = ${setting}; set escape_string_warning = off`);
    // Without that setting a backslash means something in plain quotes too; ours are then in the E form anyway.
    await assert(
      asyncProperty(storable, async (value) => {
        const { rows } = await pg.query(sql`select ${literal(value)}::text as v`.reveal());
        expect(rows).toEqual([{ v: value }]);
      }),
      { numRuns: 500 },
    );
    await pg.query('set standard_conforming_strings = on');
  },
);

test('every name arrives as it was', async () => {
  await assert(
    asyncProperty(name, async (one) => {
      const { fields } = await pg.query(sql`select 1 as ${ident(one)}`.reveal());
      expect(fields[0]?.name).toBe(one);
    }),
    { numRuns: 500 },
  );
});

test('every value survives a block', async () => {
  await assert(
    asyncProperty(storable, async (value) => {
      const block = sql`begin perform pg_catalog.set_config('test.v', ${literal(value)}, false); end`;
      const { rows } =
        (await pg.query(sql`do ${body(block)}`.reveal()),
        await pg.query(`select current_setting('test.v') as v`));
      expect(rows).toEqual([{ v: value }]);
    }),
    { numRuns: 500 },
  );
});
