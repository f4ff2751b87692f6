import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { type HttpRig, type HttpRigOptions, httpRig } from '../../support/http-rig.ts';
import { defaultPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { gated, note, probes, refresh, refused, ungated, walk } from './walk.ts';

let on: HttpRig;
const begin = async (options: HttpRigOptions = {}): Promise<void> => {
  on = await httpRig(options);
};
const configuring = (change: object = {}): RequestInit => on.posting(on.it.config(on.it.spec(change)));
const promoting = (): RequestInit => on.posting({ spec: on.it.spec(), wal_flush_lsn: '0/1' });
const noReplica = /^{"status":"failed","error":"compute mode \\"primary\\" is not replica"}$/;
/** A database whose owner does not exist. */
const impossible = (): RequestInit => {
  const { cluster } = on.it.spec() as { cluster: object };
  const databases = [{ name: 'shop', owner: 'nobody', options: null }];
  return configuring({ cluster: { ...cluster, databases } });
};
/** A request that will be answered later. */
async function later(method: string, target: string, options: RequestInit): Promise<[number, string]> {
  const { status, body } = await on.ask(on.it.httpPort, method, target, options);
  note(method, target, status);
  return [status, body];
}
const until = (status: string): Promise<true> =>
  eventually(status, async () => ((await on.external.status()).status === status ? true : undefined));

/** Every route in every status that lasts long enough to be asked in. */
export function walkTheStatuses(): void {
  describe('while the compute is', () => {
    afterEach(() => on.it.stop());

    test('empty', async () => {
      await begin({ prepare: () => ({ spec: null }), until: 'empty' });
      const noTenant = /^{"error":"tenant id should be provided"}$/;
      await walk(on, [
        ...ungated('empty'),
        ...gated(on, 'empty'),
        ...probes('empty', false, false),
        refresh('empty'),
        refused('POST /promote', 'empty', promoting()),
        ['external', 'GET /dbs_and_roles', 500, /^{"error":"reading databases and roles failed"}$/],
        [
          'external',
          'GET /database_schema?database=postgres',
          500,
          /^{"error":"failed to execute pg_dump"}$/,
        ],
        ['external', 'GET /hadron_liveness_probe', 500, /^{"error":"Postgres does not accept connections"}$/],
        ['external', 'GET /autoscaling_metrics', 500, /^{"error":"connecting to communicator control socket/],
        ['external', 'POST /lfc/prewarm', 412, /^{"error":"the compute does not have a spec"}$/],
        ['external', 'POST /lfc/offload', 412, /^{"error":"the compute does not have a spec"}$/],
        ['external', 'POST /configure', 400, noTenant, configuring({ tenant_id: null })],
        ['external', 'POST /terminate', 200, /^{"lsn":null}$/],
        ['external', 'POST /terminate', 201, /^{"lsn":null}$/],
      ]);
      expect(await on.program.exited()).toBe(0);
    });

    test('init', async () => {
      const prepare: HttpRigOptions['prepare'] = (it) => {
        it.pageserver.script.fault = 'stall-middle';
        return {};
      };
      await begin({ prepare, until: 'init' });
      await walk(on, [
        ...ungated('init'),
        ...gated(on, 'init'),
        ...probes('init', false, false),
        refresh('init'),
        refused('POST /configure', 'init', configuring()),
        refused('POST /terminate', 'init'),
        ['external', 'POST /promote', 500, noReplica, promoting()],
      ]);
      on.program.kill('SIGTERM');
      expect(await on.program.exited()).toBe(0);
    });

    test('configuration', async () => {
      await begin();
      const target = {
        host: '127.0.0.1',
        port: on.it.port,
        user: 'cloud_admin',
        password: null,
        options: '',
      };
      const session = { applicationName: 'test', connectMs: 5000, signal: new AbortController().signal };
      const first = await withPg({ ...target, database: 'postgres' }, session, async (pg) => {
        // A catalog pass reads it first, and waits for the lock of a superuser.
        await pg.query('begin; lock table pg_catalog.pg_subscription in access exclusive mode');
        const waiting = later('POST', '/configure', configuring());
        await until('configuration');
        await walk(on, [
          ...ungated('configuration'),
          ...gated(on, 'configuration'),
          ...probes('configuration', true, true),
          refresh('configuration'),
          refused('POST /configure', 'configuration', configuring()),
          refused('POST /terminate', 'configuration'),
          ['external', 'POST /promote', 500, noReplica, promoting()],
          ['external', 'GET /dbs_and_roles', 200, /"databases":\[/],
        ]);
        await pg.query('rollback');
        return waiting;
      });
      expect(first).toEqual([200, expect.stringContaining('"status":"running"')]);
    });

    test('failed after a reconfiguration', async () => {
      await begin();
      const said = /^{"error":"compute configuration failed: \\".*\\""}$/;
      await walk(on, [
        ['external', 'POST /configure', 500, said, impossible()],
        ...ungated('failed'),
        ...gated(on, 'failed'),
        ...probes('failed', true, true),
        ['external', 'POST /promote', 500, noReplica, promoting()],
        ['external', 'POST /configure', 500, said, impossible()],
        refresh('failed'),
      ]);
      await until('running');
      await walk(on, [
        ['external', 'POST /configure', 500, said, impossible()],
        ['external', 'POST /configure', 200, /"status":"running".*"error":null/, configuring()],
        ['external', 'POST /configure', 500, said, impossible()],
        ['external', 'POST /terminate?mode=immediate', 200, /^{"lsn":"0\/169B1D8"}$/],
      ]);
      expect(await on.program.exited()).toBe(0);
    });

    test('refresh_configuration and refresh_configuration_pending', async () => {
      await begin();
      const file = join(on.it.home, 'config.json');
      const text = readFileSync(file, 'utf8');
      // Who reads a pipe waits for somebody to write.
      renameSync(file, `${file}.old`);
      execFileSync('mkfifo', [file]);
      await walk(on, [refresh('running')]);
      await until('refresh_configuration');
      await walk(on, [
        ...ungated('refresh_configuration'),
        ...gated(on, 'refresh_configuration'),
        ...probes('refresh_configuration', true, true),
        refresh('refresh_configuration'),
        refused('POST /configure', 'refresh_configuration', configuring()),
        refused('POST /terminate', 'refresh_configuration'),
      ]);
      writeFileSync(file, '{');
      await until('refresh_configuration_pending');
      await walk(on, [
        ...ungated('refresh_configuration_pending'),
        ...gated(on, 'refresh_configuration_pending'),
        ...probes('refresh_configuration_pending', true, true),
        refused('POST /configure', 'refresh_configuration_pending', configuring()),
        refresh('refresh_configuration_pending'),
      ]);
      writeFileSync(file, text);
      await until('running');
      await walk(on, [refresh('running')]);
      await until('refresh_configuration');
      writeFileSync(file, '{');
      await until('refresh_configuration_pending');
      await walk(on, [['external', 'POST /terminate?mode=immediate', 200, /^{"lsn":"0\/169B1D8"}$/]]);
      expect(await on.program.exited()).toBe(0);
    });

    test('termination_pending_fast and terminated', async () => {
      await begin();
      // Postgres ends only when a receiver of its WAL has all of it, or is gone.
      const bindir = defaultPostgres().bindir;
      const server = ['-h', '127.0.0.1', '-p', String(on.it.port), '-U', 'cloud_admin'];
      const receiver = spawn(join(bindir, 'pg_receivewal'), ['-D', on.it.home, '-n', ...server], {
        stdio: 'ignore',
      });
      await eventually('the receiver', async () => {
        const streaming = "select 1 from pg_stat_replication where state = 'streaming'";
        return (await on.query(streaming)).length === 1 ? true : undefined;
      });
      receiver.kill('SIGSTOP');
      const leaving = later('POST', '/terminate', { headers: on.bearer() });
      await until('termination_pending_fast');
      await walk(on, [
        ...ungated('termination_pending_fast'),
        ...gated(on, 'termination_pending_fast'),
        ...probes('termination_pending_fast', false, true),
        refresh('termination_pending_fast'),
        refused('POST /configure', 'termination_pending_fast', configuring()),
        refused('POST /terminate', 'termination_pending_fast'),
        ['external', 'POST /promote', 500, noReplica, promoting()],
      ]);
      receiver.kill('SIGKILL');
      expect(await leaving).toEqual([200, '{"lsn":"0/169B1D8"}']);
      await walk(on, [
        ...ungated('terminated'),
        ...gated(on, 'terminated'),
        ...probes('terminated', false, true),
        refresh('terminated'),
        refused('POST /configure', 'terminated', configuring()),
        ['external', 'POST /terminate', 201, /^{"lsn":"0\/169B1D8"}$/],
      ]);
      expect(await on.program.exited()).toBe(0);
    });
  });
}
