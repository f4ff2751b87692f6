import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Rig, rig } from '../support/compute.ts';
import { installedPostgres, osUser } from '../support/postgres-versions.ts';

let it: Rig;
afterEach(() => it.stop());

const including = installedPostgres().filter(({ major }) => major >= 16);

/** Files that the spec names, readable for the OS user. */
function files(): { settings: object; ca: string } {
  const file = (name: string, text: string): string => {
    const path = join(it.home, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (osUser !== null) execFileSync('chown', [`${osUser.uid}:${osUser.gid}`, path]);
    return path;
  };
  const ca = file('ca.crt', '');
  return {
    ca,
    settings: {
      pg_compute_tls_settings: {
        key_file: file('own.key', 'a key'),
        cert_file: file('own.crt', 'a cert'),
        ca_file: ca,
      },
      databricks_pg_hba: file('databricks_pg_hba.conf', 'host all databricks_gateway 127.0.0.1/32 reject\n'),
      databricks_pg_ident: file('databricks_pg_ident.conf', ''),
      databricks_workspace_host: "work'space.example",
    },
  };
}

const lakebase = ['--lakebase-mode', 'true'];

test.each(including)('on PostgreSQL $major the settings of lakebase are in force', async (postgres) => {
  it = await rig(postgres);
  const { settings, ca } = files();
  const program = it.start({
    spec: it.spec({ databricks_settings: settings }),
    args: lakebase,
    env: { INSTANCE_ID: 'instance-7' },
  });
  await it.until('running');
  const conf = readFileSync(join(it.pgdata, 'postgresql.conf'), 'utf8');
  expect(conf).toContain(
    [
      `port = ${it.port}`,
      '# Databricks settings start',
      `ssl_ca_file = '${ca}'`,
      "databricks.workspace_url = 'work''space.example'",
    ].join('\n'),
  );
  expect(readFileSync(join(it.pgdata, 'own.key'), 'utf8')).toBe('a key');
  expect(statSync(join(it.pgdata, 'own.key')).mode & 0o777).toBe(0o600);
  const hba = readFileSync(join(it.pgdata, 'pg_hba.conf'), 'utf8');
  expect(hba.indexOf('databricks_pg_hba.conf')).toBeLessThan(hba.lastIndexOf('md5'));
  const pid = readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0];
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  expect(environment).toContain('DATABRICKS_ENDPOINT_ID=instance-7');
  expect(environment).toContain("DATABRICKS_WORKSPACE_HOST=work'space.example");
  expect((await it.http('GET', '/metrics')).body).toContain('pg_instance_id="instance-7"');
  await it.http('POST', '/terminate?mode=immediate');
  expect(await program.exited()).toBe(0);
});

test('settings that this PostgreSQL could not start with are refused by name', async () => {
  it = await rig();
  const program = it.start({ spec: it.spec({ databricks_settings: files().settings }), args: lakebase });
  expect(await program.exited()).toBe(1);
  expect(it.log()).toContain(
    'spec.databricks_settings.databricks_pg_hba: PostgreSQL 15 cannot include files',
  );
});

test('a start that does not get to running in the time of lakebase mode fails, and leaves nothing', async () => {
  it = await rig();
  const spec = it.spec();
  const cluster = spec['cluster'] as { settings: object[] };
  // Whoever logs in waits.
  cluster.settings.push({ name: 'post_auth_delay', value: '30s', vartype: 'string' });
  const program = it.start({ spec, args: [...lakebase, '--pg-init-timeout', '2'] });
  const status = await it.until('failed');
  expect(status['error']).toContain('compute did not enter Running state in 2 seconds, exiting');
  expect(await program.exited()).toBe(1);
});
