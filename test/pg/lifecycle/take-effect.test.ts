import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';
import { inline } from '../../../src/core/errors.ts';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { Operations } from '../../../src/lifecycle/operations.ts';
import { promotion } from '../../../src/lifecycle/promote.ts';
import { reconfiguration } from '../../../src/lifecycle/reconfigure.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { step } from '../../../src/lifecycle/steps.ts';
import type { StartContext } from '../../../src/lifecycle/context.ts';
import { withPg } from '../../../src/pg/client.ts';
import { locatePostgres } from '../../../src/postgres/postgres-bin.ts';
import type { Postgres } from '../../../src/postgres/postgres.ts';
import { idleFileCache } from '../../support/file-cache.ts';
import { ServiceRunner } from '../../../src/services/runner.ts';
import type { ServiceDeps } from '../../../src/services/service.ts';
import { settingsOf } from '../../../src/services/settings.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { type Installed, installedPostgres } from '../../support/postgres-versions.ts';
import { resolved } from '../../unit/postgres/spec-for-tests.ts';

const { signal } = new AbortController();
const session = { applicationName: 'test', connectMs: 10_000, queryMs: 10_000, signal };

interface Setting {
  readonly name: string;
  readonly value: string;
  readonly vartype: string;
}

const text = (name: string, value: string): Setting => ({ name, value, vartype: 'string' });
const whole = (name: string, value: string): Setting => ({ name, value, vartype: 'integer' });

/** A compute around a server that runs already, so that what is tried is only the reconfiguration. */
async function adopt(cluster: Cluster, fields: object = {}) {
  const bin = await locatePostgres(join(cluster.postgres.bindir, 'postgres'), process.env, signal);
  const { dataDir, target } = cluster;
  const args = ['-D', dataDir, '-C', 'postgresql://localhost', '-i', 'compute', '-c', '/config.json'];
  const parsed = parseArgs(args, {});
  if (parsed.command !== 'run') throw new Error('these are the arguments of a run');
  const settings = settingsOf(parsed.options, process.env, { target, bin, tls: null });
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const state = new ComputeState();
  state.lifecycle.tryMove('init');
  state.postgres = {
    running: true,
    reload: () => cluster.postmaster.kill('SIGHUP'),
  } as Partial<Postgres> as Postgres;
  const services = new ServiceRunner([], { settings, log } as unknown as ServiceDeps);
  const found = (context: StartContext): void => {
    context.pgdata = { path: dataDir, cleanUp: () => Promise.resolve() };
  };
  const operations = new Operations(
    { settings, state, log, services, failpoints: new Failpoints(), lfc: idleFileCache() },
    { start: [step('adopt', found)], reconfigure: reconfiguration, promote: promotion },
  );
  const conf = join(dataDir, 'postgresql.conf');
  const head = readFileSync(conf, 'utf8');
  const spec = (own: readonly Setting[], more = '', without = '#'): void => {
    state.spec = resolved(
      { skip_pg_catalog_updates: true, ...fields },
      { settings: own, postgresql_conf: `${head.replace(without, '#')}${more}` },
    );
  };
  spec([]);
  await operations.start(signal);
  const configure = async (own: readonly Setting[], more?: string, without?: string): Promise<void> => {
    spec(own, more, without);
    await operations.reconfigure();
  };
  const refusal = async (own: readonly Setting[], more?: string): Promise<string> => {
    const error: unknown = await configure(own, more).then(
      () => new Error('it was accepted'),
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'settings_refused' });
    return inline(error);
  };
  const show = (name: string): Promise<string> =>
    withPg(cluster.target, session, async (pg) => {
      const { rows } = await pg.query<{ value: string }>('select current_setting($1) as value', [name]);
      return rows[0]?.value ?? '';
    });
  return { state, lines, conf, configure, refusal, show };
}

describe.each(installedPostgres().map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (major, postgres) => {
    let cluster: Cluster;
    let it: Awaited<ReturnType<typeof adopt>>;
    const base = [text('work_mem', '5MB')];

    beforeAll(async () => {
      cluster = await startCluster({ postgres, conf: "shared_preload_libraries='pg_stat_statements'" });
      it = await adopt(cluster);
    });
    afterAll(() => cluster.stop());
    beforeEach(async () => {
      rmSync(join(cluster.dataDir, 'postgresql.auto.conf'), { force: true });
      await it.configure(base);
      it.lines.length = 0;
    });

    /** Before and after a refusal, in force and on disk. */
    async function nothingChanges(work: () => Promise<void>): Promise<void> {
      const before = readFileSync(it.conf, 'utf8');
      await work();
      expect(readFileSync(it.conf, 'utf8')).toBe(before);
      expect(existsSync(`${it.conf}.earlier`)).toBe(false);
      expect(await it.show('work_mem')).toBe('5MB');
    }

    test('a misspelt setting fails the reconfiguration with file, line and name, and nothing changes', () =>
      nothingChanges(async () => {
        const said = await it.refusal([text('work_mem', '6MB'), text('shared_bufers', '32MB')]);
        expect(said).toMatch(
          /postgresql\.conf, line \d+: shared_bufers: unrecognized configuration parameter "shared_bufers"$/,
        );
      }));

    test("a value that PostgreSQL cannot use fails with PostgreSQL's words, while the rest would be applied", () =>
      nothingChanges(async () => {
        const said = await it.refusal([
          text('work_mem', '6MB'),
          text('maintenance_work_mem', 'lots'),
          text('log_destination', 'nowhere'),
          whole('max_connections', '-3'),
        ]);
        expect(said).toContain('invalid value for parameter "maintenance_work_mem": "lots"');
        expect(said).toContain('Unrecognized key word: "nowhere"');
        expect(said).toContain('-3 is outside the valid range for parameter "max_connections"');
      }));

    test('a line that cannot be read fails with its place, and the text near it is not repeated', () =>
      nothingChanges(async () => {
        const said = await it.refusal([], '\nwork_mem = 1 hunter2\n');
        expect(said).toMatch(/postgresql\.conf, line \d+: syntax error/);
        expect(said).not.toContain('hunter2');
      }));

    test("a value that a loaded library refuses fails with the library's words", () =>
      nothingChanges(async () => {
        const said = await it.refusal([text('pg_stat_statements.track', 'everything')]);
        expect(said).toContain('invalid value for parameter "pg_stat_statements.track": "everything"');
      }));

    test('a name that a loaded library does not have is misspelt, where PostgreSQL reserves its prefix', async () => {
      if (major < 15) return it.configure([...base, text('pg_stat_statements.mxa', '5')]);
      return nothingChanges(async () => {
        const said = await it.refusal([text('pg_stat_statements.mxa', '5')]);
        expect(said).toContain('"pg_stat_statements" is a reserved prefix');
      });
    });

    test("settings of libraries that are not loaded are not misspelt, and take effect as the users' own", async () => {
      await it.configure([...base, text('pgaudit.log', 'ddl'), text('my_app.tenant', 'one')]);
      expect(await it.show('my_app.tenant')).toBe('one');
    });

    test('of a text that needs a restart the status has the name alone, since a text may hold a secret', async () => {
      await it.configure([...base, text('cluster_name', 'hunter2')]);
      expect(it.state.status().pending_restart).toEqual([
        { name: 'cluster_name', current: null, wanted: null },
      ]);
      await it.configure(base);
    });

    test('what needs a restart is in the status with both values, also what was removed, until it is taken back', async () => {
      await it.configure([...base, whole('max_connections', '60'), text('pg_stat_statements.max', '200')]);
      expect(it.state.status().pending_restart).toEqual([
        { name: 'max_connections', current: '50', wanted: '60' },
        { name: 'pg_stat_statements.max', current: '5000', wanted: '200' },
      ]);
      expect(await it.show('work_mem')).toBe('5MB');
      await it.configure(base, '', 'max_connections=50');
      expect(it.state.status().pending_restart).toEqual([
        { name: 'max_connections', current: '50', wanted: null },
      ]);
      // Also a value that only the next start would find wrong.
      expect(await it.refusal([...base, whole('max_connections', '-4')])).toContain('-4 is outside');
      await it.configure(base);
      expect(it.state.status()).not.toHaveProperty('pending_restart');
    });

    test('what would keep Postgres from starting again is refused, though it needs a restart first', () =>
      nothingChanges(async () => {
        expect(await it.refusal([whole('max_connections', '3')])).toContain('3 reserved');
        const said = await it.refusal([text('shared_preload_libraries', 'pg_stat_statments')]);
        expect(said).toContain('there is no library "pg_stat_statments"');
        expect(await it.refusal([text('wal_level', 'minimal')])).toContain('max_wal_senders = 10');
      }));

    test('what only the next start would refuse fails the reconfiguration, though a reload would take it', () =>
      nothingChanges(async () => {
        const nowhere = join(cluster.dataDir, 'nowhere');
        for (const [said, ...settings] of [
          ['min_wal_size: 2 MB are less than two WAL segments (32 MB)', text('min_wal_size', '2MB')],
          ['ssl_cert_file: ', text('ssl', 'on')],
          ['hba_file: ', text('hba_file', nowhere)],
          [`cannot create files in ${nowhere}`, text('unix_socket_directories', nowhere)],
          ['listen_addresses: "127.0.0.1,,x" is not a list', text('listen_addresses', '127.0.0.1,,x')],
          [
            'this machine does not have the address 192.0.2.1 (EADDRNOTAVAIL)',
            text('listen_addresses', '192.0.2.1'),
          ],
          [
            'multiple recovery targets specified',
            text('recovery_target_time', '2020-01-01'),
            text('recovery_target_xid', '5'),
          ],
          ['/etc/passwd is not a library', text('shared_preload_libraries', '/etc/passwd')],
          ['there is no library "../x"', text('shared_preload_libraries', '../x')],
          ['more than the memory and swap', text('shared_buffers', '6TB')],
          [
            'Postgres cannot create files in /proc',
            text('logging_collector', 'on'),
            text('log_directory', '/proc/nowhere'),
          ],
          ['data_directory: Postgres would run in', text('include', 'elsewhere.conf')],
        ] as const) {
          writeFileSync(join(cluster.dataDir, 'elsewhere.conf'), `data_directory = '${nowhere}'\n`);
          const include = settings.some(({ name }) => name === 'include');
          const more = include ? "\ninclude 'elsewhere.conf'\n" : '';
          expect(await it.refusal([...base, ...(include ? [] : settings)], more)).toContain(said);
        }
      }));

    test('a value that only means something in another database takes effect, and the log says so', async () => {
      await it.configure([...base, text('default_text_search_config', 'only_elsewhere')]);
      expect(it.lines.join()).toMatch(
        /has no effect in the database postgres: .*line \d+: default_text_search_config/,
      );
      await it.configure([text('work_mem', '6MB'), text('default_table_access_method', 'only_elsewhere')]);
      expect(await it.show('work_mem')).toBe('6MB');
    });

    test('a bad value in a file of somebody else is named and not blamed on the spec, which takes effect', async () => {
      appendFileSync(join(cluster.dataDir, 'postgresql.auto.conf'), "maintenance_work_mem = 'lots'\n");
      await it.configure([text('work_mem', '7MB')]);
      expect(await it.show('work_mem')).toBe('7MB');
      expect(it.state.status()).not.toHaveProperty('pending_restart');
      expect(it.lines.join()).toMatch(
        /this spec did not bring: .*postgresql\.auto\.conf, line 1: maintenance_work_mem/,
      );
    });

    test('a setting of the spec that a file of somebody else overrides is in the status, with the line that counts', async () => {
      const file = join(cluster.dataDir, 'postgresql.auto.conf');
      writeFileSync(file, "# by hand\nwork_mem = '11MB'\nmaintenance_work_mem = '12MB'\n");
      await it.configure([...base, text('maintenance_work_mem', '12MB')]);
      expect(await it.show('work_mem')).toBe('11MB');
      expect(it.state.status().overridden_settings).toEqual([{ name: 'work_mem', file, line: 2 }]);
      rmSync(file);
      await it.configure(base);
      expect(it.state.status()).not.toHaveProperty('overridden_settings');
    });

    test('a file of somebody else that makes PostgreSQL ignore everything fails the reconfiguration, which names it', () =>
      nothingChanges(async () => {
        writeFileSync(join(cluster.dataDir, 'postgresql.auto.conf'), "work_mme = '1MB'\n");
        const said = await it.refusal([text('work_mem', '8MB')]);
        expect(said).toMatch(
          /a line that this spec did not bring: .*postgresql\.auto\.conf, line 1: work_mme/,
        );
        rmSync(join(cluster.dataDir, 'postgresql.auto.conf'));
      }));
  },
);

test('a server that does not answer keeps its earlier configuration on disk, and reads it when it goes on', async () => {
  const cluster = await startCluster();
  try {
    const it = await adopt(cluster);
    await it.configure([text('work_mem', '5MB')]);
    const before = readFileSync(it.conf, 'utf8');
    cluster.postmaster.kill('SIGSTOP');
    await expect(it.configure([text('work_mem', '9MB')])).rejects.toThrow('could not connect');
    expect(readFileSync(it.conf, 'utf8')).toBe(before);
    cluster.postmaster.kill('SIGCONT');
    expect(await it.show('work_mem')).toBe('5MB');
  } finally {
    await cluster.stop();
  }
});

test('a replica that refuses connections reads the new file, unless PostgreSQL could not use it', async () => {
  const cluster = await startCluster();
  try {
    const ended = once(cluster.postmaster, 'exit');
    cluster.postmaster.kill('SIGINT');
    await ended;
    writeFileSync(join(cluster.dataDir, 'standby.signal'), '');
    appendFileSync(join(cluster.dataDir, 'postgresql.conf'), 'hot_standby=off\n');
    const log = join(cluster.dataDir, 'standby.log');
    const fd = openSync(log, 'a');
    const postmaster = spawn(join(cluster.postgres.bindir, 'postgres'), ['-D', cluster.dataDir], {
      stdio: ['ignore', fd, fd],
      cwd: '/',
    });
    const standbyEnded = once(postmaster, 'exit');
    try {
      const says = async (text: string): Promise<void> => {
        await expect.poll(() => readFileSync(log, 'utf8')).toContain(text);
      };
      await says('entering standby mode');
      const it = await adopt({ ...cluster, postmaster }, { mode: 'Replica' });
      expect(await it.refusal([text('shared_bufers', '32MB')])).toContain('"shared_bufers" in file');
      expect(readFileSync(it.conf, 'utf8')).not.toContain('shared_bufers');
      await it.configure([text('work_mem', '9MB')]);
      expect(it.lines.join()).toContain('cannot check whether the new settings have taken effect');
      await says('parameter "work_mem" changed to "9MB"');
    } finally {
      postmaster.kill('SIGQUIT');
      await standbyEnded;
    }
  } finally {
    await cluster.stop();
  }
});

test('where the session may not see how the files are read, PostgreSQL reads them as at a start', async () => {
  const cluster = await startCluster();
  try {
    await withPg(cluster.target, session, (pg) => pg.query('create role plain login'));
    const it = await adopt({ ...cluster, target: { ...cluster.target, user: 'plain' } });
    expect(await it.refusal([text('shared_bufers', '32MB')])).toContain('"shared_bufers" in file');
    const theirs = join(cluster.dataDir, 'postgresql.auto.conf');
    writeFileSync(theirs, "maintenance_work_mem = 'lots'\n");
    expect(await it.refusal([text('work_mem', '8MB')])).toMatch(/did not bring: .*"maintenance_work_mem"/);
    rmSync(theirs);
    await it.configure([text('work_mem', '9MB')]);
    await expect.poll(() => it.show('work_mem')).toBe('9MB');
    expect(it.lines.join()).toContain('cannot check whether the new settings have taken effect');
  } finally {
    await cluster.stop();
  }
});

test('what the server ignores since its start does not fail a reconfiguration that changes something else', async () => {
  const newest = installedPostgres().at(-1) as Installed;
  const unknown = "pg_stat_statements.from_the_future = '1'";
  const cluster = await startCluster({
    postgres: newest,
    conf: `shared_preload_libraries='pg_stat_statements'\n${unknown}`,
  });
  try {
    const it = await adopt(cluster);
    await it.configure([text('work_mem', '9MB')]);
    expect(await it.show('work_mem')).toBe('9MB');
    expect(it.lines.join()).toContain('pg_stat_statements.from_the_future');
  } finally {
    await cluster.stop();
  }
});
