import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explain } from '../../../src/core/failure.ts';
import { startPostgres } from '../../../src/postgres/postgres.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { cleanUp, end, never, optionsFor } from './servers.ts';

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await startCluster({ postgres });
    await end(cluster, 'SIGINT');
  });
  afterEach(() => cleanUp(cluster));

  const conf = (text: string): void => appendFileSync(join(cluster.dataDir, 'postgresql.conf'), `${text}\n`);

  /** What `/status` would say of the start that fails. */
  async function failureOf(logPrefix: string | null = null) {
    const { options } = await optionsFor(cluster, { logPrefix });
    const started = await startPostgres(options);
    const error = await started.waitReady(60_000, never).then(
      () => null,
      (reason: unknown) => reason,
    );
    return explain(error, 'start-postgres');
  }

  test('a start that fails gives the setting that PostgreSQL does not know, with file and line', async () => {
    conf('no_such_setting = 1');
    const { postgres: words, code, hint, text } = await failureOf();
    expect(words).toMatch(/FATAL: .*contains errors/);
    expect(words).toMatch(/"no_such_setting" in file ".*postgresql.conf" line \d+/);
    expect([code, hint]).toEqual(['postgres_start', expect.stringContaining('spec')]);
    expect(text).toContain('Postgres exited unexpectedly with code 1\n\nCaused by:\n    PostgreSQL: FATAL');
  });

  test('a start that fails gives the port that is in use', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    try {
      conf(`port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''`);
      const { postgres: words } = await failureOf();
      expect(words).toContain('Address already in use');
      expect(words).toContain(String(port));
    } finally {
      other.close();
    }
  });

  test('a start that fails gives the SQLSTATE, where verbosity or prefix have it', async () => {
    conf("shared_preload_libraries = 'no_such_library'\nlog_line_prefix = '[%p] %e %q%u '");
    const missing = { sqlstate: '58P01', postgres: expect.stringContaining('no_such_library') as string };
    expect(await failureOf('[%p] %e %q%u ')).toMatchObject(missing);
    conf("log_line_prefix = '%m [%p] '\nlog_error_verbosity = verbose");
    expect(await failureOf(null)).toMatchObject(missing);
    conf('log_error_verbosity = default');
    expect(await failureOf(null)).toMatchObject({ ...missing, sqlstate: null });
  });

  test('a start that somebody kills does not ask to correct the spec', async () => {
    const { options } = await optionsFor(cluster, { logPrefix: null });
    const started = await startPostgres(options);
    process.kill(started.pid, 'SIGKILL');
    const error = await started.waitReady(60_000, never).catch((reason: unknown) => reason);
    const { text, code } = explain(error, 'start-postgres');
    expect(code).toBe('postgres_start');
    expect(text).toMatch(/it was ended by SIGKILL[^]*Hint: it was killed, mostly by the kernel/);
  });

  test('a start that fails gives the panic of damaged data', async () => {
    const wal = join(cluster.dataDir, 'pg_wal');
    for (const name of readdirSync(wal).filter((one) => /^[0-9A-F]{24}$/.test(one))) rmSync(join(wal, name));
    const { postgres: words } = await failureOf();
    expect(words).toMatch(/(?:PANIC|FATAL): .*checkpoint record/);
  });

  test('a start that fails before there is a log gives the lines without a severity', async () => {
    rmSync(join(cluster.dataDir, 'global'), { recursive: true });
    mkdirSync(join(cluster.dataDir, 'global'));
    const { postgres: words, code } = await failureOf();
    expect([code, words]).toEqual(['postgres_start', expect.stringContaining('pg_control')]);
  });

  const formats = ['stderr', 'csvlog', ...(postgres.major >= 15 ? ['jsonlog'] : [])];
  test.each(formats)(
    'a start that fails gives the reason also where PostgreSQL collects its log, as %s',
    async (format) => {
      conf(`logging_collector = on\nlog_destination = '${format}'\nlog_directory = 'log'`);
      for (const name of readdirSync(join(cluster.dataDir, 'pg_wal')).filter((one) =>
        /^[0-9A-F]{24}$/.test(one),
      ))
        rmSync(join(cluster.dataDir, 'pg_wal', name));
      const { postgres: words } = await failureOf();
      expect(words).toMatch(/(?:PANIC|FATAL)(?: [0-9A-Z]{5})?: .*checkpoint record/);
    },
  );

  test('a start that fails on pg_hba.conf gives the line', async () => {
    writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), 'nonsense all all trust\n');
    const { postgres: words } = await failureOf();
    expect(words).toMatch(/FATAL: .*pg_hba\.conf/);
    expect(words).toMatch(/nonsense.*line 1/);
  });
});
