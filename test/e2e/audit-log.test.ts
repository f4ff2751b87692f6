import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RsyslogSettings } from '../../src/services/rsyslog/settings.ts';
import { baseBackup, type Rig, rig } from '../support/compute.ts';
import { withPgaudit } from '../support/pgaudit.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import {
  type Collector,
  type SupervisedRsyslog,
  realRsyslogd,
  startCollector,
  startRsyslog,
} from '../support/rsyslog.ts';

const program = realRsyslogd();
const own = withPgaudit(defaultPostgres());
afterAll(() => own?.remove());

const optionsFor = (settings: RsyslogSettings): string[] => [
  ...['--rsyslogd', settings.program, '--rsyslog-conf', settings.conf],
  ...['--rsyslog-conf-dir', settings.confDir, '--rsyslog-pid-file', settings.pidFile],
  ...['--rsyslog-work-dir', settings.workDir],
];

/** What pgauditlogtofile would do: files of the same name, each message with the same beginning. */
const asLogToFile = {
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'audit-%Y%m%d_%H%M.log',
  log_line_prefix: '%m,"%u","%d",%p,',
  log_timezone: 'GMT',
  shared_preload_libraries: 'pg_stat_statements',
};

/** Without a detail: what the spec requires has been applied. */
const inForce = { state: 'ok', error: null, since: expect.any(String) as string };

interface Status {
  readonly services: Record<string, { readonly state: string; readonly error: string | null }>;
}

describe.skipIf(program === null || own === null)('a compute whose logs are sent to collectors', () => {
  let compute: Rig;
  let daemon: SupervisedRsyslog;
  let collector: Collector;

  beforeAll(() => void baseBackup(defaultPostgres()));
  beforeEach(async () => {
    daemon = startRsyslog(program!);
    collector = await startCollector('127.0.0.1');
    compute = await rig(own!.postgres, baseBackup(defaultPostgres()));
  });
  afterEach(async () => {
    await compute.stop();
    await collector.leave();
    await daemon.stop();
  });

  function spec(changes: object, more: Record<string, string> = asLogToFile): Record<string, unknown> {
    const made = compute.spec(changes) as { cluster: { settings: { name: string }[] } };
    const settings = Object.entries(more).map(([name, value]) => ({ name, value, vartype: 'string' }));
    const kept = made.cluster.settings.filter(({ name }) => !(name in more));
    return { ...made, cluster: { ...made.cluster, settings: [...kept, ...settings] } };
  }
  const sql = (text: string, database = 'postgres'): string =>
    execFileSync(
      join(defaultPostgres().bindir, 'psql'),
      ['-XAtq', '-h', '127.0.0.1', '-p', String(compute.port), '-U', 'cloud_admin', '-c', text, database],
      { encoding: 'utf8' },
    ).trim();
  const service = async (name: string): Promise<Status['services'][string] | undefined> =>
    (await compute.http('GET', '/status')).json<Status & Record<string, unknown>>().services[name];
  async function metric(name: string): Promise<number> {
    const { body } = await compute.http('GET', '/metrics');
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body)?.[1]);
  }
  const files = (): string[] => readdirSync(daemon.settings.confDir).toSorted();
  const received = (part: string): boolean => collector.messages().some((line) => line.includes(part));

  test('is audited at the collector from its start until its end', async () => {
    const level = { audit_log_level: 'Extended', endpoint_id: 'ep-7', project_id: 'prj-7' };
    compute.start({
      spec: spec({ ...level, logs_export_host: `127.0.0.1:${collector.port}` }),
      args: optionsFor(daemon.settings),
      env: { AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${collector.port}` },
    });
    await compute.until('running');
    await expect.poll(() => service('audit-log')).toEqual(inForce);
    await expect.poll(() => service('logs-export')).toEqual(inForce);
    expect(files()).toEqual(['compute_audit_rsyslog.conf', 'postgres_logs.conf']);
    expect(sql('show log_destination')).toBe('stderr,syslog');
    expect(sql(`select extname from pg_extension where extname ~ 'audit' order by 1`)).toBe(
      'pgaudit\npgauditlogtofile',
    );
    sql('create database d');
    sql('create table watched (a int)', 'd');
    await expect.poll(() => received('create table watched')).toBe(true);
    const line = collector.messages().find((one) => one.includes('create table watched'))!;
    const sent = JSON.parse(line.slice(line.indexOf('{'))) as Record<string, string>;
    expect(sent).toMatchObject({ endpoint_id: 'ep-7', project_id: 'prj-7' });
    expect(sent['msg']).toMatch(/ GMT,"cloud_admin","d",\d+,LOG: +AUDIT: SESSION,1,1,DDL,CREATE TABLE/);
    await expect.poll(() => metric('compute_audit_log_dir_size')).toBeGreaterThan(0);
    expect(await metric('compute_audit_log_lost_bytes_total')).toBe(0);

    // A collector that is away is seen, and nothing is lost.
    await collector.leave();
    sql('create table meanwhile (a int)', 'd'); // the first of a broken connection may be lost on its way
    sql('create table later (a int)', 'd');
    await expect
      .poll(() => service('audit-log'))
      .toMatchObject({
        state: 'degraded',
        error: expect.stringContaining('rsyslogd has no connection to the collector') as string,
      });
    await collector.comeBack();
    await expect.poll(() => received('create table later')).toBe(true);
    await expect.poll(() => service('audit-log')).toEqual(inForce);

    // Only the audit log is still wanted.
    const answer = await compute.http('POST', '/configure', compute.config(spec(level)));
    expect(answer).toMatchObject({ status: 200 });
    await expect.poll(files).toEqual(['compute_audit_rsyslog.conf']);
    expect(sql('show log_destination')).toBe('stderr');
    expect(await service('logs-export')).toBeUndefined();

    sql('create table last_words (a int)', 'd');
    await compute.http('POST', '/terminate');
    await expect.poll(() => received('database system is shut down')).toBe(true);
    expect(received('create table last_words')).toBe(true);
    await expect.poll(files).toEqual([]);
  });

  test.each([
    [{}, 'AUDIT_LOGGING_ENDPOINT and AUDIT_LOGGING_TLS_ENDPOINT are both empty'],
    [{ AUDIT_LOGGING_ENDPOINT: 'collector' }, 'AUDIT_LOGGING_ENDPOINT is not an address: "collector"'],
  ])('runs without the logs whose collectors are wrong: %j', async (env, words) => {
    compute.start({
      spec: spec({ audit_log_level: 'Full', logs_export_host: 'nowhere' }),
      args: optionsFor(daemon.settings),
      env: { AUDIT_LOGGING_ENDPOINT: '', AUDIT_LOGGING_TLS_ENDPOINT: '', ...env },
    });
    await compute.until('running');
    const error = expect.stringContaining(words) as string;
    await expect.poll(() => service('audit-log')).toMatchObject({ state: 'failed', error });
    expect(await service('logs-export')).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('spec.logs_export_host is not an address: "nowhere"') as string,
    });
    expect(sql('show shared_preload_libraries')).toBe('pg_stat_statements');
    expect(sql('show log_destination')).toBe('stderr');
    expect(files()).toEqual([]);
  });

  const both = () => ({
    spec: spec({ audit_log_level: 'Extended', logs_export_host: `127.0.0.1:${collector.port}` }),
    args: optionsFor(daemon.settings),
    env: { AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${collector.port}` },
  });

  test('the last messages arrive when Postgres is killed, and nothing is left behind', async () => {
    const program = compute.start(both());
    await compute.until('running');
    await expect.poll(() => service('audit-log')).toEqual(inForce);
    await expect.poll(() => service('logs-export')).toEqual(inForce);
    sql('create database d');
    // Slow until then, so that rsyslogd is far behind.
    collector.pause();
    sql(
      `do $$ begin for i in 1..9000 loop execute format('select %L', repeat('x', 2000)); end loop; end $$`,
      'd',
    );
    sql('create table last_words (a int)', 'd');
    const [postmaster] = readFileSync(join(compute.pgdata, 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(postmaster), 'SIGKILL');
    const killedMs = performance.now();
    collector.resume();
    expect(await program.exited()).toBe(1);
    // A machine that is too slow for the limit of 5 s says so, but not before.
    const isLost = compute.log().includes('audit messages are lost: rsyslogd had not read them at the end');
    const tookMs = performance.now() - killedMs;
    await expect.poll(() => received('create table last_words') || (isLost && tookMs > 5000)).toBe(true);
    expect(files()).toEqual([]);
  });

  test('the last messages arrive when the start fails', async () => {
    const { args, ...rest } = both();
    const slow = spec(
      { audit_log_level: 'Extended' },
      { ...asLogToFile, post_auth_delay: '30s', log_connections: 'on' },
    );
    const lakebase = ['--lakebase-mode', 'true', '--pg-init-timeout', '5'];
    const program = compute.start({ ...rest, spec: slow, args: [...args, ...lakebase] });
    await compute.until('failed');
    expect(await program.exited()).toBe(1);
    expect(received('immediate shutdown request')).toBe(true);
    expect(files()).toEqual([]);
  });

  test('what the collector does not take in time is counted, and does not hold up the end', async () => {
    const program = compute.start(both());
    await compute.until('running');
    await expect.poll(() => service('audit-log')).toEqual(inForce);
    sql('create database d');
    await collector.leave();
    sql(
      `do $$ begin for i in 1..9000 loop execute format('select %L', repeat('x', 2000)); end loop; end $$`,
      'd',
    );
    const beganMs = performance.now();
    await compute.http('POST', '/terminate?mode=immediate');
    expect(await program.exited()).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(20_000);
    expect(compute.log()).toMatch(
      /MB of audit messages are lost: rsyslogd had not read them at the end; they are in \S+\/pgdata\/log/,
    );
    expect(files()).toEqual([]);
  });

  test('a killed compute leaves files that the next one uses, or removes', async () => {
    const audited = {
      spec: spec({ audit_log_level: 'Extended' }),
      args: optionsFor(daemon.settings),
      env: { AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${collector.port}` },
    };
    for (const life of ['first', 'second']) {
      const program = compute.start(audited);
      await compute.until('running');
      await expect.poll(() => service('audit-log')).toEqual(inForce);
      sql(`create database ${life}_database`);
      sql(`create table ${life}_life (a int)`, `${life}_database`);
      await expect.poll(() => received(`create table ${life}_life`), { timeout: 60_000 }).toBe(true);
      program.kill('SIGKILL');
      await program.exited();
      expect(files()).toEqual(['compute_audit_rsyslog.conf']);
    }
    compute.start({ spec: spec({}), args: optionsFor(daemon.settings) });
    await compute.until('running');
    await expect.poll(files).toEqual([]);
  });

  test('twenty changes of mind leave what is wanted last, and the end leaves nothing', async () => {
    const wishes = (n: number) => ({
      ...(n & 1 ? { audit_log_level: n & 4 ? 'Full' : 'Extended', endpoint_id: `ep-${n}` } : {}),
      ...(n & 2 ? { logs_export_host: `127.0.0.1:${collector.port}` } : {}),
    });
    compute.start({
      spec: spec(wishes(7)),
      args: optionsFor(daemon.settings),
      env: { AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${collector.port}` },
    });
    await compute.until('running');
    for (const n of [1, 2, 5, 0, 3, 4, 7, 2, 1, 6, 0, 7, 3, 1, 0, 2, 3, 5, 6, 7]) {
      const answer = await compute.http('POST', '/configure', compute.config(spec(wishes(n))));
      expect(answer).toMatchObject({ status: 200 });
    }
    await expect.poll(() => service('audit-log')).toEqual(inForce);
    await expect.poll(() => service('logs-export')).toEqual(inForce);
    expect(files()).toEqual(['compute_audit_rsyslog.conf', 'postgres_logs.conf']);
    sql('create database d');
    sql('create table at_last (a int)', 'd');
    await expect
      .poll(() => collector.messages().find((line) => line.includes('at_last')))
      .toContain('"ep-7"');
    await compute.http('POST', '/terminate');
    await expect.poll(files).toEqual([]);
    await expect.poll(() => daemon.pid()).not.toBeNull();
  });

  test('starts without a rsyslogd, and the audit files stay below their limit', async () => {
    await daemon.stop();
    compute.start({
      spec: spec({ audit_log_level: 'Extended' }),
      args: [...optionsFor(daemon.settings), '--audit-log-limit', '4MB'],
      env: { AUDIT_LOGGING_ENDPOINT: `127.0.0.1:${collector.port}` },
    });
    await compute.until('running');
    expect(await service('audit-log')).toMatchObject({ state: 'failed' });
    sql('create database d');
    sql(
      `do $$ begin for i in 1..3000 loop execute format('select %L', repeat('x', 5000)); end loop; end $$`,
      'd',
    );
    const size = (): number => {
      const dir = join(compute.pgdata, 'log');
      const all = existsSync(dir) ? readdirSync(dir).map((name) => readFileSync(join(dir, name)).length) : [];
      return all.reduce((sum, one) => sum + one, 0);
    };
    // The loss below shows that they were larger.
    await expect.poll(() => metric('compute_audit_log_lost_bytes_total')).toBeGreaterThan(1024 * 1024);
    await expect.poll(size).toBeLessThan(4 * 1024 * 1024);
    expect(compute.log()).toContain(
      'of audit messages are lost: the files had more than 4.0 MB (--audit-log-limit)',
    );
  });
});
