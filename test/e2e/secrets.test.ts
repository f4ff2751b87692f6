import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { parseConnstr } from '../../src/pg/connstr.ts';
import { withControlPlane } from '../support/control-plane.ts';
import { type Rig, rig } from '../support/compute.ts';
import { osUser } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const secrets = {
  NEON_CONTROL_PLANE_TOKEN: 'taken-1',
  PGBOUNCER_PASSWORD: 'taken-2',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization=taken-3',
  HTTPS_PROXY: 'http://user:taken-4@127.0.0.1:9',
  AWS_SECRET_ACCESS_KEY: 'taken-5',
  PGPASSWORD: 'taken-6',
  KUBERNETES_TOKEN: 'taken-7',
  pg_password: 'taken-8',
  NODE_OPTIONS: '--title=taken-9',
  LC_TIME: 'C',
};

test('a superuser finds no secret of compute_ctl in the environment of Postgres', async () => {
  it.start({ env: secrets });
  await it.until('running');
  const target = parseConnstr(`postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`);
  const signal = new AbortController().signal;
  const options = { applicationName: 'test', connectMs: 10_000, queryMs: 30_000, signal };
  const rows = await withPg(target, options, async (pg) => {
    await pg.query("create temp table env (line text); copy env from program 'env'");
    return (await pg.query<{ line: string }>('select line from env')).rows;
  });
  const [postmaster] = readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n');
  const environments = [readFileSync(`/proc/${postmaster}/environ`, 'latin1')];
  const seen = [...rows.map(({ line }) => line), ...environments].join('\n');
  expect(seen).not.toContain('taken');
  expect(seen).toContain('LC_TIME=C');
});

test("the command line shows neither the spec's secrets nor the password of the connection string", async () => {
  const connstr = `postgresql://cloud_admin:taken@127.0.0.1:${it.port}/postgres`;
  const spec = JSON.stringify(it.spec({ storage_auth_token: 'taken' }));
  const program = it.run(['-C', connstr, '--spec', spec]);
  // There are no keys, so no token is accepted.
  await eventually('Postgres', () => (program.stderr().includes('ready to accept') ? true : undefined));
  const shown = readFileSync(`/proc/${program.pid}/cmdline`, 'latin1');
  expect(shown).toContain('compute_ctl');
  expect(shown).not.toContain('taken');
});

test.each(['file', 'pipe'])(
  'a token in a %s reaches the control plane, and is in no environment',
  async (kind) => {
    const path = join(it.home, 'token');
    if (kind === 'pipe') execFileSync('mkfifo', [path]);
    else writeFileSync(path, 'taken\n', { mode: 0o600 });
    // It is read once root is given up.
    if (osUser !== null) chownSync(path, osUser.uid, osUser.gid);
    await withControlPlane(
      () => it.config(it.spec()),
      async ({ uri, asked }) => {
        const program = it.run(['-p', uri, '-i', 'compute-1', '--control-plane-token-file', path], {
          NEON_CONTROL_PLANE_TOKEN: 'not-this',
        });
        if (kind === 'pipe') execFileSync('sh', ['-c', 'echo taken > "$0"', path]);
        await it.until('running');
        program.kill('SIGHUP');
        await eventually('a second request', () => (asked.length > 1 ? true : undefined));
        expect(new Set(asked)).toEqual(new Set(['Bearer taken']));
        expect(readFileSync(`/proc/${program.pid}/environ`, 'latin1')).not.toContain('taken');
      },
    );
  },
);

test('the error of /autoscaling_metrics names no path', async () => {
  it.start();
  await it.until('running');
  const { status, body } = await it.http('GET', '/autoscaling_metrics');
  expect([status, JSON.parse(body)]).toMatchObject([
    500,
    { error: 'connecting to communicator control socket: connect ENOENT' },
  ]);
  expect(body).not.toContain('/');
});
