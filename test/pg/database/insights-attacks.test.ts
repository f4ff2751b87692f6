import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collectInsights } from '../../../src/database/insights.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { never, query, silent } from '../catalog/support.ts';

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(type.length + 4);
  head.write(type);
  head.writeInt32BE(body.length + 4, type.length);
  return Buffer.concat([head, body]);
};

/** Sends a statement of any bytes, as no driver does, and waits until the server has closed the connection. */
function sendBytes(port: number, user: string, database: string, statement: Buffer): Promise<void> {
  const parameters = ['user', user, 'database', database, 'client_encoding', 'SQL_ASCII', '', ''].join('\0');
  const start = message('', Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(parameters)]));
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
      .on('error', reject)
      .on('close', () => resolve())
      .resume();
    const text = Buffer.concat([statement, Buffer.from([0])]);
    socket.write(Buffer.concat([start, message('Q', text), message('X', Buffer.alloc(0))]));
  });
}

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf: 'shared_preload_libraries=pg_stat_statements' });
    await query(
      cluster.target,
      'create extension pg_stat_statements; create role ann login createdb; create role op superuser login; alter database postgres owner to ann',
    );
  });
  afterAll(() => cluster.stop());
  const statements = async () =>
    (
      JSON.parse(await collectInsights(cluster.target, silent, never)) as {
        pg_stat_statements: { query: string; calls: number }[];
      }
    ).pg_stat_statements;

  test('a statement of bytes that are not UTF-8 costs the texts of /insights, not its answer', async () => {
    await query(
      { ...cluster.target, user: 'ann', database: 'template1' },
      `create database ascii encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0`,
    );
    expect((await statements()).map((one) => one.query)).toContainEqual(expect.stringContaining('SQL_ASCII'));
    await sendBytes(cluster.port, 'ann', 'ascii', Buffer.from('select 1 as "\xff\xfe"', 'latin1'));
    const found = await statements();
    expect(found.length).toBeGreaterThan(1);
    expect(new Set(found.map((one) => one.query))).toEqual(new Set(['<text that is not UTF-8 in the list>']));
    expect(found.every(({ calls }) => calls > 0)).toBe(true);
    await query(cluster.target, 'select pg_stat_statements_reset()');
  });

  test('a view that the owner of the extension put into it does not run', async () => {
    await query(cluster.target, 'drop extension pg_stat_statements');
    await query({ ...cluster.target, user: 'op' }, 'create extension pg_stat_statements');
    await query(cluster.target, 'reassign owned by op to ann');
    await query(
      { ...cluster.target, user: 'ann' },
      `create schema evil;
       create function evil.f() returns float8 language plpgsql as $$ begin raise log 'SPRUNG'; return 1; end $$;
       alter extension pg_stat_statements drop view pg_stat_statements;
       create or replace view public.pg_stat_statements as select * from public.pg_stat_statements(true) where evil.f() = 1;
       alter extension pg_stat_statements add view pg_stat_statements`,
    );
    expect(await statements()).toEqual([]);
    expect(cluster.log()).not.toContain('SPRUNG');
  });
});
