import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { type HttpRig, httpRig } from '../../support/http-rig.ts';
import { eventually } from '../../support/program.ts';
import { type Row, grantThatIsHeld, note, plpgsql, probes, refresh, ungated, walk } from './walk.ts';

let on: HttpRig;
const failed = 'failed to install extension: ';
const notGranted = 'failed to grant role privileges to the schema: ';
const dumped = (database: string): Row[1] => `GET /database_schema?database=${encodeURIComponent(database)}`;

/** For both databases that the routes are asked about. */
const closed = (allowed: string): string =>
  ['postgres', 'app'].map((name) => `alter database ${name} allow_connections ${allowed}`).join('; ');

/** Runs `work` beside a session of its own. */
const beside = <T>(sql: string, database: string, work: () => Promise<T>): Promise<T> => {
  const target = { host: '127.0.0.1', port: on.it.port, user: 'cloud_admin', password: null, options: '' };
  const session = { applicationName: 'test', connectMs: 5000, signal: new AbortController().signal };
  return withPg({ ...target, database }, session, async (pg) => {
    await pg.query(sql);
    return work();
  });
};

/** What each route answers in the status that computes are in nearly always. */
export function walkARunningPrimary(): void {
  describe('on a running primary', () => {
    beforeAll(async () => {
      on = await httpRig();
      await on.query('create database app');
    });
    afterAll(() => on.it.stop());

    test('every route succeeds', async () => {
      const communicator = createServer((_, answer) =>
        answer.writeHead(200, { 'content-type': 'application/text' }).end('lfc_hits 1\n'),
      );
      const socket = join(on.it.pgdata, 'neon-communicator.socket');
      communicator.listen(socket);
      await once(communicator, 'listening');
      chmodSync(socket, 0o666); // compute_ctl is not root
      await walk(on, [
        ...ungated('running'),
        ...probes('running', true, true),
        ['external', 'GET /openapi.json', 200, /^{"openapi":"3\.1\.0"/],
        ['external', 'GET /insights', 200, /^"{\\"pg_stat_statements\\": \[\]}"$/],
        [
          'external',
          'GET /dbs_and_roles',
          200,
          /^{"roles":\[{"name":.*"databases":\[{"name":.*"invalid":false}\]}$/,
        ],
        ['external', dumped('postgres'), 200, /PostgreSQL database dump complete/],
        ['external', 'POST /check_writability', 200, /^true$/],
        ['external', 'GET /hadron_liveness_probe', 200, /^"ok"$/],
        ['external', 'GET /autoscaling_metrics', 200, /^lfc_hits 1\n$/],
        ['external', 'POST /configure', 200, /"status":"running"/, on.posting(on.it.config(on.it.spec()))],
        [
          'internal',
          'POST /extensions',
          201,
          /^{"extension":"plpgsql","version":"1.0"}$/,
          on.posting(plpgsql),
        ],
        [
          'internal',
          'POST /grants',
          201,
          /^{"database":"app","schema":"public"/,
          on.posting(grantThatIsHeld),
        ],
        refresh('running'),
      ]);
      communicator.close();
      rmSync(socket, { force: true });
      await eventually('the refresh', async () =>
        (await on.external.status()).status === 'running' ? true : undefined,
      );
    });

    test('what cannot be done is said with its status and in known words', async () => {
      const spec = on.it.spec();
      const grant = (change: object) => on.posting({ ...grantThatIsHeld, ...change });
      await walk(on, [
        ['external', 'GET /database_schema', 400, /missing field `database`/],
        ['external', dumped('none'), 404, /^{"error":"database does not exist"}$/],
        ['external', dumped('a=b "c" 🐘'), 404, /^{"error":"database does not exist"}$/],
        ['external', 'GET /autoscaling_metrics', 500, /^{"error":"connecting to communicator control socket/],
        ['external', 'POST /terminate?other=1', 400, /missing field `mode`/],
        ['external', 'POST /terminate?mode=slow', 400, /mode/],
        ['external', 'POST /lfc/prewarm', 202, /^$/],
        ['external', 'POST /lfc/prewarm?other=1', 400, /missing field `from_endpoint`/],
        ['external', 'POST /lfc/offload', 202, /^$/],
        ['external', 'POST /lfc/prewarm?from_endpoint=..', 400, /cannot be the id of an endpoint/],
        ['external', 'POST /configure', 422, /compute_ctl_config/, on.posting({ spec })],
        ['external', 'POST /promote', 422, /wal_flush_lsn/, on.posting({ spec })],
        ['external', 'POST /promote', 422, /LSN/, on.posting({ spec, wal_flush_lsn: 'x' })],
        [
          'external',
          'POST /promote',
          400,
          /tenant id should be provided/,
          on.posting({ spec: { ...spec, tenant_id: null }, wal_flush_lsn: '0/1' }),
        ],
        ['internal', 'POST /extension_server/anon', 412, /^{"error":"remote storage is not configured"}$/],
        [
          'internal',
          'POST /extensions',
          400,
          /name of the extension/,
          on.posting({ ...plpgsql, extension: 'a\0' }),
        ],
        ['internal', 'POST /extensions', 422, /database/, on.posting({ extension: 'a' })],
        ['internal', 'POST /extensions', 422, /: extension: /, on.posting({ ...plpgsql, version: '7' })],
        ['internal', 'POST /grants', 400, /name of the role/, grant({ role: 'a\0' })],
        ['internal', 'POST /grants', 422, /privileges/, grant({ privileges: ['usage'] })],
        ['internal', 'POST /grants', 422, /: database: .*system database/, grant({ database: 'postgres' })],
        ['internal', 'POST /grants', 422, /: database: .*template/, grant({ database: 'template1' })],
        [
          'internal',
          'POST /grants',
          422,
          /: schema: .*schema of the system/,
          grant({ schema: 'pg_catalog' }),
        ],
        [
          'internal',
          'POST /grants',
          422,
          /: schema: .*schema of the system/,
          grant({ schema: 'neon_migration' }),
        ],
        [
          'internal',
          'POST /extensions',
          422,
          /: database: .*system database/,
          on.posting({ ...plpgsql, database: 'postgres' }),
        ],
        ['internal', 'POST /grants', 500, new RegExp(notGranted), grant({ database: 'none' })],
        ['internal', 'POST /grants', 500, new RegExp(notGranted), grant({ privileges: ['SELECT'] })],
        ['internal', 'POST /grants', 500, new RegExp(notGranted), grant({ schema: 'none' })],
        ['internal', 'POST /grants', 500, new RegExp(notGranted), grant({ role: 'none' })],
        ['internal', 'POST /failpoints', 404, /^$/, on.posting([])],
      ]);
    });

    test('dumps are limited in number, and the others are not kept from their end', async () => {
      await on.query('create table held (id int)');
      const dump = async (): Promise<number> => {
        const { status } = await on.ask(on.it.httpPort, 'GET', '/database_schema?database=postgres', {
          headers: on.bearer(),
        });
        note('GET', '/database_schema', status);
        return status;
      };
      const waiting = await beside('begin; lock table held', 'postgres', async () => {
        const twenty = Array.from({ length: 20 }, dump);
        await eventually('the dumps', async () => {
          const sql =
            "select 1 from pg_stat_activity where query like 'LOCK TABLE%' and wait_event_type = 'Lock'";
          return (await on.query(sql)).length === 4 ? true : undefined;
        });
        const full = /^{"error":"4 dumps are already running and 16 wait"}$/;
        await walk(on, [['external', dumped('postgres'), 429, full]]);
        return twenty;
      });
      expect(await Promise.all(waiting)).toEqual(Array(20).fill(200));
    });

    test('a database that lets nobody in is a failure of all that needs it, and Postgres is alive', async () => {
      await beside(closed('false'), 'template1', async () => {
        await walk(on, [
          [
            'external',
            'GET /insights',
            500,
            /^{"error":"reading the statement statistics failed with SQLSTATE 55000"}$/,
          ],
          ['external', 'GET /dbs_and_roles', 500, /^{"error":"reading databases and roles failed/],
          ['external', 'POST /check_writability', 500, /^{"error":"/],
          ['external', dumped('postgres'), 500, /^{"error":"failed to execute pg_dump"}$/],
          ['external', 'GET /hadron_liveness_probe', 200, /^"ok"$/],
          ['internal', 'POST /extensions', 500, new RegExp(failed), on.posting(plpgsql)],
          ['internal', 'POST /grants', 500, new RegExp(notGranted), on.posting(grantThatIsHeld)],
        ]);
        await eventually('the downtime', async () =>
          (await on.external.probe('readyz')) ? undefined : true,
        );
        await walk(on, [['external', 'GET /status', 200, /"up":false/]]);
      });
      await beside(closed('true'), 'template1', () => Promise.resolve());
      await eventually('the way back', async () => ((await on.external.probe('readyz')) ? true : undefined));
    });

    test('a table for the availability check that somebody else made is left alone', async () => {
      await on.query('drop table if exists health_check');
      await on.query('create table health_check (id text)');
      await walk(on, [['external', 'POST /check_writability', 500, /health_check/]]);
      expect(await on.query('select * from health_check')).toEqual([]);
    });
  });
}
