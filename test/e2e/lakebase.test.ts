import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
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

interface Copied {
  readonly timestamp: string;
  readonly error_severity: string;
  readonly backend_type: string;
  readonly pg_instance_id: string;
  readonly pg_compute_id: string;
  readonly message: string;
}

const copies = (directory: string): Copied[] =>
  readdirSync(directory).flatMap((name) => {
    expect(name).toMatch(/^pgcctl\.\d{4}-\d\d-\d\d$/);
    const lines = readFileSync(join(directory, name), 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Copied);
  });

test('the log has copies in a directory, from the first line to the last, also of a start that fails at once', async () => {
  it = await rig();
  const directory = join(it.home, 'logs');
  mkdirSync(directory);
  if (osUser !== null) execFileSync('chown', [`${osUser.uid}:${osUser.gid}`, directory]);
  const env = { COMPUTE_CTL_LOG_DIRECTORY: directory, INSTANCE_ID: 'instance-7' };
  const program = it.start({ spec: it.spec(), args: lakebase, env });
  await it.until('running');
  program.child.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  const own = it
    .log()
    .split('\n')
    .filter((line) => /^\d{4}-\d\d-\d\dT\S+Z +[A-Z]+ /.test(line));
  const copied = copies(directory);
  // A line that two ways write at the same time may stand in another order.
  const texts = own.map((line) => line.replace(/^\S+ +[A-Z]+ /, ''));
  expect(copied.map(({ message }) => message.replaceAll('\n', '\\n'))).toEqual(texts);
  expect(copied.at(-1)).toMatchObject({
    error_severity: 'INFO',
    backend_type: 'compute_ctl_self',
    pg_instance_id: 'instance-7',
    pg_compute_id: 'compute-1',
  });
  const before = copied.length;
  const failing = it.run(['-c', join(it.home, 'nowhere.json'), '-i', 'compute-1', ...lakebase], env);
  expect(await failing.exited()).not.toBe(0);
  const later = copies(directory).slice(before);
  expect(later.at(-1)).toMatchObject({
    error_severity: 'FATAL',
    message: expect.stringContaining('nowhere.json') as string,
  });
});

test('without lakebase mode there are no copies, and a directory that cannot be used does not hold up a start', async () => {
  it = await rig();
  const directory = join(it.home, 'logs');
  mkdirSync(directory);
  if (osUser !== null) execFileSync('chown', [`${osUser.uid}:${osUser.gid}`, directory]);
  const without = it.start({ spec: it.spec(), env: { COMPUTE_CTL_LOG_DIRECTORY: directory } });
  await it.until('running');
  await it.http('POST', '/terminate?mode=immediate');
  expect(await without.exited()).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
  const env = { COMPUTE_CTL_LOG_DIRECTORY: '/proc/none/logs' };
  const program = it.start({ spec: it.spec(), args: lakebase, env });
  await it.until('running');
  expect(it.log().match(/ WARN log files in \/proc\/none\/logs: .*it is tried again/g)).toHaveLength(1);
  await it.http('POST', '/terminate?mode=immediate');
  expect(await program.exited()).toBe(0);
});
