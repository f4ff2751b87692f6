import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { type PgClient, connectPg } from '../../../src/pg/client.ts';
import { openSocket } from '../../../src/pg/socket.ts';
import { reloadPgbouncer } from '../../../src/services/pgbouncer/admin.ts';
import { pgbouncer } from '../../../src/services/pgbouncer/service.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { type Pgbouncer, benchFor, pgbouncerFor, pgbouncerPath } from '../../support/helpers.ts';
import { memoryDir } from '../../support/scratch.ts';
import { makeCertificate } from '../../support/tls.ts';

const never = new AbortController().signal;
type Wanted = NonNullable<ReturnType<typeof pgbouncer.wants>>;
const wanted = (settings: Record<string, string>, tls: Wanted['tls'] = null): Wanted => ({
  settings: Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, new Secret(value)])),
  tls,
});

let cluster: Cluster;
let home: string;
let pooler: Pgbouncer;
const clients: PgClient[] = [];
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  home = scratchDir('pgb');
  pooler = await pgbouncerFor(home, cluster.port);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
  pooler.stop();
  chmodSync(home, 0o755);
  rmSync(home, { recursive: true, force: true });
});

const connect = async (): Promise<PgClient> => {
  const target = { ...cluster.target, port: pooler.port, user: 'app', options: '' };
  const client = await connectPg(target, { applicationName: '', connectMs: 20_000, signal: never });
  clients.push(client);
  return client;
};
/** Of the certificate that pgbouncer shows. */
const certificateName = async (): Promise<unknown> => {
  const tls = { mode: 'require' as const, serverName: '127.0.0.1', rootCert: null };
  const socket = await openSocket({ ...cluster.target, port: pooler.port, tls }, never);
  try {
    return (socket as TLSSocket).getPeerCertificate().subject.CN;
  } finally {
    socket.destroy();
  }
};
const ini = (): string => readFileSync(pooler.ini, 'utf8');
const bench = (more: Parameters<typeof benchFor>[1] = {}, how: Parameters<typeof benchFor>[2] = {}) =>
  benchFor(
    pgbouncer,
    { pgbouncerIni: pooler.ini, pgbouncerPort: pooler.port, pgbouncerPidFile: pooler.pidFile, ...more },
    how,
  );
type Service = Awaited<ReturnType<ReturnType<typeof bench>['start']>>;
const becomes = async (service: Service, state: string, error: unknown = null): Promise<void> => {
  await expect.poll(() => service.health).toMatchObject({ state, error });
};

describe.skipIf(pgbouncerPath === undefined)('with the real pgbouncer', () => {
  test('settings follow the spec while clients stay connected, and go back', async () => {
    await pooler.start();
    const image = ini();
    const idle = await connect();
    const busy = await connect();
    await idle.query('set search_path to kept');
    await busy.query('begin; create temp table t (n int)');
    const service = await bench().start(wanted({ pool_mode: 'transaction', default_pool_size: '7' }));
    await becomes(service, 'ok');
    await expect.poll(() => pooler.setting('pool_mode')).toBe('transaction');
    expect(await pooler.setting('default_pool_size')).toBe('7');
    expect(ini()).toContain('; compute_ctl replaced: pool_mode = session\npool_mode = transaction\n');
    for (const size of ['8', '9', '10']) {
      await service.reconfigure(wanted({ max_client_conn: '55', default_pool_size: size }), never);
      await busy.query(`insert into t values (${size})`);
      await expect.poll(() => pooler.setting('default_pool_size')).toBe(size);
    }
    expect(await pooler.setting('max_client_conn')).toBe('55');
    expect(await pooler.setting('pool_mode')).toBe('session');
    expect((await busy.query('select count(*)::int as n from t')).rows).toEqual([{ n: 3 }]);
    await busy.query('commit');
    expect((await idle.query('show search_path')).rows).toEqual([{ search_path: 'kept' }]);
    await service.stop(never);
    expect(ini()).toBe(image);
    expect(await pooler.setting('max_client_conn')).toBe('100');
    expect((await idle.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    expect(pooler.child().exitCode).toBeNull();
  });

  test('the same settings once more send nothing; a file of somebody else comes right at the next', async () => {
    await pooler.start();
    const { start } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await expect.poll(() => pooler.setting('default_pool_size')).toBe('7');
    await becomes(service, 'ok');
    const before = statSync(pooler.ini).ino;
    await service.reconfigure(wanted({ default_pool_size: '7' }), never);
    await service.reconfigure(wanted({ default_pool_size: '6' }), never);
    await expect.poll(() => pooler.setting('default_pool_size')).toBe('6');
    const after = statSync(pooler.ini).ino;
    expect(after).not.toBe(before);
    await service.reconfigure(wanted({ default_pool_size: '6' }), never);
    await service.stop(never);
  });

  test('a pgbouncer that starts later, and one that starts again, have the settings', async () => {
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringContaining('ECONNREFUSED'));
    await pooler.start();
    expect(await pooler.setting('default_pool_size')).toBe('7');
    await becomes(service, 'ok');
    await service.stop(never);
  });

  test('what pgbouncer does not take is named, without its value', async () => {
    await pooler.start();
    const { start, lines } = bench();
    const service = await start(
      wanted({
        pool_mode: 'hidden-value',
        listen_port: '1',
        no_such: 'hidden-value',
        'x]\n[users': 'hidden-value',
        auth_file: 'a\nadmin_users = hidden-value',
      }),
    );
    await becomes(
      service,
      'degraded',
      expect.stringMatching(/auth_file"\] is left out.*pool_mode: pgbouncer did not/),
    );
    expect(service.health.error).toContain('listen_port: pgbouncer takes it only when it starts');
    expect(service.health.error).toContain('no_such: pgbouncer does not know it');
    expect(`${service.health.error}${lines.join('')}`).not.toContain('hidden-value');
    expect(ini()).not.toMatch(/^admin_users = hidden/m);
    await service.reconfigure(
      wanted({ pool_mode: 'statement', server_lifetime: '3600', verbose: 'no' }),
      never,
    );
    await expect.poll(() => pooler.setting('pool_mode')).toBe('statement');
    await becomes(service, 'ok');
    await service.stop(never);
  });

  test('as in a VM, the console is at a socket, for the user pgbouncer without a password', async () => {
    const dir = memoryDir();
    writeFileSync(pooler.ini, ini().replace('unix_socket_dir =', `unix_socket_dir = ${dir}`));
    await pooler.start();
    const vm = { AUTOSCALING: '', PGBOUNCER_PASSWORD: 'not this' };
    const { start, deps } = bench({ pgbouncerHost: dir }, { env: vm });
    expect(deps.settings.helpers.pgbouncer.admin).toMatchObject({ user: 'pgbouncer', password: null });
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    expect(await pooler.setting('default_pool_size')).toBe('7');
    await service.stop(never);
    rmSync(dir, { recursive: true });
  });

  test('a pgbouncer that hangs holds nobody up, and is reloaded when it goes on', async () => {
    await pooler.start();
    pooler.child().kill('SIGSTOP');
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringMatching(/timeout|took longer/i));
    await service.reconfigure(wanted({ default_pool_size: '8' }), never);
    pooler.child().kill('SIGCONT');
    await becomes(service, 'ok');
    expect(await pooler.setting('default_pool_size')).toBe('8');
    await service.stop(never);
  });

  test('a new certificate under the same name is in use after a reload', async () => {
    const tls = { keyPath: join(home, 'k.pem'), certPath: join(home, 'c.pem') };
    const put = (name: string): void => {
      const { keyFile, certFile } = makeCertificate(home, name);
      renameSync(keyFile, tls.keyPath);
      renameSync(certFile, tls.certPath);
    };
    put('first');
    await pooler.start();
    const { start, deps } = bench();
    const service = await start(wanted({}, tls));
    await becomes(service, 'ok');
    const client = await connect();
    await expect.poll(certificateName).toBe('first');
    put('second');
    await reloadPgbouncer(deps.settings.helpers, never);
    await expect.poll(certificateName).toBe('second');
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    await service.stop(never);
  });

  test('a wrong password is said without it, and nothing ends', async () => {
    const users = join(home, 'users');
    writeFileSync(users, '"postgres" "right-one"\n');
    writeFileSync(pooler.ini, ini().replace('auth_type = any', `auth_type = plain\nauth_file = ${users}`));
    // `start` asks without a password.
    void pooler.start().catch(() => {});
    const bad = bench({}, { env: { PGBOUNCER_PASSWORD: 'wrong-one' } });
    const service = await bad.start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringMatching(/password|SASL|auth/i));
    expect(`${service.health.error}${bad.lines.join('')}`).not.toContain('wrong-one');
    await service.stop(never).catch(() => {});
    const good = await bench({}, { env: { PGBOUNCER_PASSWORD: 'right-one' } }).start(
      wanted({ default_pool_size: '7' }),
    );
    await becomes(good, 'ok');
    await good.end?.(never);
  });

  test('certificates are added once their files are there', async () => {
    await pooler.start();
    const tls = { keyPath: join(home, 'k.pem'), certPath: join(home, 'c.pem') };
    const service = await bench().start(
      wanted({ client_tls_sslmode: 'require', default_pool_size: '7' }, tls),
    );
    await becomes(service, 'degraded', expect.stringContaining('TLS is left out until its files are there'));
    expect(await pooler.setting('default_pool_size')).toBe('7');
    expect(ini()).not.toContain('client_tls_key_file');
    for (const path of [tls.keyPath, tls.certPath]) writeFileSync(path, '');
    await expect.poll(ini).toMatch(/^client_tls_key_file = .*k\.pem$/m);
    expect(ini()).toMatch(/^client_tls_sslmode = allow$/m);
    await service.stop(never);
  });

  test.each([
    ['a request', true],
    ['the crash of Postgres', false],
  ])('it is stopped after %s, and its file is as before', async (_, asked) => {
    await pooler.start();
    await connect();
    const image = ini();
    const { start, stop } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    const exited = once(pooler.child(), 'exit');
    if (asked) {
      stop.abort();
      await exited;
    }
    await service.end?.(never);
    await exited;
    expect(ini()).toBe(image);
    expect(existsSync(`${pooler.ini}.new`)).toBe(false);
  });

  test.each([
    [true, true],
    [false, false],
  ])('--dev keeps it after a signal (%s), not after /terminate', async (bySignal, stays) => {
    await pooler.start();
    const { start, stop } = bench({ dev: true }, { bySignal });
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    stop.abort();
    await service.end?.(never);
    const runs = (): boolean => pooler.child().exitCode === null && pooler.child().signalCode === null;
    await expect.poll(runs).toBe(stays);
    expect(ini().includes('= 7')).toBe(stays);
  });

  test('one that a supervisor starts in its place is left alone', async () => {
    await pooler.start();
    const { start, stop } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    const exited = once(pooler.child(), 'exit');
    stop.abort();
    await exited;
    await pooler.start();
    await service.end?.(never);
    expect((await pooler.rows('SHOW VERSION')).length).toBe(1);
    expect(pooler.runs()).toBe(true);
  });

  test('a pgbouncer that is held by SIGSTOP ends too', async () => {
    await pooler.start();
    const { start } = bench();
    const service = await start(wanted({}));
    await becomes(service, 'ok');
    const exited = once(pooler.child(), 'exit');
    pooler.child().kill('SIGSTOP');
    await service.end?.(never);
    await exited;
  });

  test('the pgbouncer of somebody else is not stopped: it began after the file was written', async () => {
    await pooler.start();
    const stale = join(home, 'stale.pid');
    writeFileSync(stale, String(pooler.child().pid));
    utimesSync(stale, 1, 1);
    const { start } = bench({ pgbouncerPidFile: stale });
    const service = await start(wanted({}));
    await becomes(service, 'ok');
    await expect(service.end?.(never)).rejects.toThrow('it began after the file was written');
    expect(pooler.child().signalCode ?? pooler.child().exitCode).toBeNull();
  });
});

describe('without it', () => {
  test.each(['0', '-1', '1', '', 'x', '12 34', '99999999999', '0x10', String(process.pid)])(
    'the pid file with %j hits nobody',
    async (text) => {
      writeFileSync(pooler.pidFile, text);
      const service = await bench().start(wanted({}));
      await expect(service.end?.(never)).rejects.toThrow('does not hold a process number');
    },
  );

  test('a pid file that is missing, stale, a link, or of another program hits nobody', async () => {
    const service = async (): Promise<void> => (await bench().start(wanted({}))).end?.(never);
    await service();
    writeFileSync(pooler.pidFile, '4194304\n');
    await service();
    writeFileSync(pooler.pidFile, `${cluster.postmaster.pid}\n`);
    await expect(service()).rejects.toThrow('it is not pgbouncer');
    renameSync(pooler.pidFile, `${pooler.pidFile}.1`);
    symlinkSync(`${pooler.pidFile}.1`, pooler.pidFile);
    await expect(service()).rejects.toThrow('is a symbolic link');
    expect(cluster.postmaster.signalCode).toBeNull();
  });

  test('a console that does not answer holds nobody up', async () => {
    const server = createServer(() => {}).listen(pooler.port, '127.0.0.1');
    await once(server, 'listening');
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await service.reconfigure(wanted({ default_pool_size: '8' }), never);
    await becomes(service, 'failed', expect.stringMatching(/timeout|took longer|deadline/i));
    await service.reconfigure(wanted({ default_pool_size: '9' }), never);
    await expect.poll(ini).toContain('= 9');
    await service.end?.(never);
    expect(ini()).not.toContain('compute_ctl');
    server.close();
  });

  test('a missing file, one without the section, and one that cannot be written are said, and tried again', async () => {
    const image = ini();
    rmSync(pooler.ini);
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringMatching(/pgbouncer\.ini.*ENOENT/));
    writeFileSync(pooler.ini, '[databases]\n');
    await becomes(service, 'failed', expect.stringContaining('does not have a section [pgbouncer]'));
    writeFileSync(pooler.ini, image);
    await expect.poll(ini).toContain('default_pool_size = 7');
    await service.stop(never).catch(() => {});
    expect(ini()).toBe(image);
  });

  test.skipIf(process.getuid?.() === 0)(
    'in a directory of somebody else the file itself is written, and without that right nothing',
    async () => {
      const image = ini();
      chmodSync(pooler.ini, 0o444);
      chmodSync(home, 0o555);
      const service = await bench().start(wanted({ default_pool_size: '7' }));
      await becomes(service, 'failed', expect.stringMatching(/pgbouncer\.ini.*EACCES/));
      expect(ini()).toBe(image);
      chmodSync(pooler.ini, 0o644);
      const { ino } = statSync(pooler.ini);
      await expect.poll(ini).toContain('default_pool_size = 7');
      await service.stop(never).catch(() => {});
      expect(ini()).toBe(image);
      expect(statSync(pooler.ini).ino).toBe(ino);
    },
  );

  test('a link stays a link, and mode and owner stay', async () => {
    const real = join(home, 'real', 'pgbouncer.ini');
    mkdirSync(join(home, 'real'));
    renameSync(pooler.ini, real);
    symlinkSync(real, pooler.ini);
    chmodSync(real, 0o640);
    const { mode, uid, ino } = statSync(real);
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await expect.poll(ini).toContain('default_pool_size = 7');
    expect(statSync(real)).toMatchObject({ mode, uid });
    expect(statSync(real).ino).not.toBe(ino);
    expect(readFileSync(pooler.ini, 'utf8')).toBe(readFileSync(real, 'utf8'));
    await service.stop(never).catch(() => {});
  });
});
