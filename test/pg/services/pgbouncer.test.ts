import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { openSocket } from '../../../src/pg/socket.ts';
import { reloadPgbouncer } from '../../../src/services/pgbouncer/admin.ts';
import { pgbouncerPath } from '../../support/helpers.ts';
import { becomes, poolerRig, wanted } from '../../support/pooler-rig.ts';
import { memoryDir } from '../../support/scratch.ts';
import { makeCertificate } from '../../support/tls.ts';

const never = new AbortController().signal;
const it = poolerRig();
const { bench, connect, ini } = it;

/** Of the certificate that pgbouncer shows. */
const certificateName = async (): Promise<unknown> => {
  const tls = { mode: 'require' as const, serverName: '127.0.0.1', rootCert: null };
  const socket = await openSocket({ ...it.cluster.target, port: it.pooler.port, tls }, never);
  try {
    return (socket as TLSSocket).getPeerCertificate().subject.CN;
  } finally {
    socket.destroy();
  }
};

describe.skipIf(pgbouncerPath === undefined)('with the real pgbouncer', () => {
  test('settings follow the spec while clients stay connected, and go back', async () => {
    await it.pooler.start();
    const image = ini();
    const idle = await connect();
    const busy = await connect();
    await idle.query('set search_path to kept');
    await busy.query('begin; create temp table t (n int)');
    const service = await bench().start(wanted({ pool_mode: 'transaction', default_pool_size: '7' }));
    await becomes(service, 'ok');
    await expect.poll(() => it.pooler.setting('pool_mode')).toBe('transaction');
    expect(await it.pooler.setting('default_pool_size')).toBe('7');
    expect(ini()).toContain('; compute_ctl replaced: pool_mode = session\npool_mode = transaction\n');
    for (const size of ['8', '9', '10']) {
      await service.reconfigure(wanted({ max_client_conn: '55', default_pool_size: size }), never);
      await busy.query(`insert into t values (${size})`);
      await expect.poll(() => it.pooler.setting('default_pool_size')).toBe(size);
    }
    expect(await it.pooler.setting('max_client_conn')).toBe('55');
    expect(await it.pooler.setting('pool_mode')).toBe('session');
    expect((await busy.query('select count(*)::int as n from t')).rows).toEqual([{ n: 3 }]);
    await busy.query('commit');
    expect((await idle.query('show search_path')).rows).toEqual([{ search_path: 'kept' }]);
    await service.stop(never);
    expect(ini()).toBe(image);
    expect(await it.pooler.setting('max_client_conn')).toBe('100');
    expect((await idle.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    expect(it.pooler.child().exitCode).toBeNull();
  });

  test('the same settings once more send nothing; a file of somebody else comes right at the next', async () => {
    await it.pooler.start();
    const { start } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await expect.poll(() => it.pooler.setting('default_pool_size')).toBe('7');
    await becomes(service, 'ok');
    const before = statSync(it.pooler.ini).ino;
    await service.reconfigure(wanted({ default_pool_size: '7' }), never);
    await service.reconfigure(wanted({ default_pool_size: '6' }), never);
    await expect.poll(() => it.pooler.setting('default_pool_size')).toBe('6');
    const after = statSync(it.pooler.ini).ino;
    expect(after).not.toBe(before);
    await service.reconfigure(wanted({ default_pool_size: '6' }), never);
    await service.stop(never);
  });

  test('a pgbouncer that starts later, and one that starts again, have the settings', async () => {
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringContaining('ECONNREFUSED'));
    await it.pooler.start();
    expect(await it.pooler.setting('default_pool_size')).toBe('7');
    await becomes(service, 'ok');
    await service.stop(never);
  });

  test('what pgbouncer does not take is named, without its value', async () => {
    await it.pooler.start();
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
    await expect.poll(() => it.pooler.setting('pool_mode')).toBe('statement');
    await becomes(service, 'ok');
    await service.stop(never);
  });

  test('as in a VM, the console is at a socket, for the user pgbouncer without a password', async () => {
    const dir = memoryDir();
    writeFileSync(it.pooler.ini, ini().replace('unix_socket_dir =', `unix_socket_dir = ${dir}`));
    await it.pooler.start();
    const vm = { AUTOSCALING: '', PGBOUNCER_PASSWORD: 'not this' };
    const { start, deps } = bench({ pgbouncerHost: dir }, { env: vm });
    expect(deps.settings.helpers.pgbouncer.admin).toMatchObject({ user: 'pgbouncer', password: null });
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    expect(await it.pooler.setting('default_pool_size')).toBe('7');
    await service.stop(never);
    rmSync(dir, { recursive: true });
  });

  test('a pgbouncer that hangs holds nobody up, and is reloaded when it goes on', async () => {
    await it.pooler.start();
    it.pooler.child().kill('SIGSTOP');
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringMatching(/timeout|took longer/i));
    await service.reconfigure(wanted({ default_pool_size: '8' }), never);
    it.pooler.child().kill('SIGCONT');
    await becomes(service, 'ok');
    expect(await it.pooler.setting('default_pool_size')).toBe('8');
    await service.stop(never);
  });

  test('a new certificate under the same name is in use after a reload', async () => {
    const tls = { keyPath: join(it.home, 'k.pem'), certPath: join(it.home, 'c.pem') };
    const put = (name: string): void => {
      const { keyFile, certFile } = makeCertificate(it.home, name);
      renameSync(keyFile, tls.keyPath);
      renameSync(certFile, tls.certPath);
    };
    put('first');
    await it.pooler.start();
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
    const users = join(it.home, 'users');
    writeFileSync(users, '"postgres" "right-one"\n');
    writeFileSync(it.pooler.ini, ini().replace('auth_type = any', `auth_type = plain\nauth_file = ${users}`));
    // `start` asks without a password.
    void it.pooler.start().catch(() => {});
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
    await it.pooler.start();
    const tls = { keyPath: join(it.home, 'k.pem'), certPath: join(it.home, 'c.pem') };
    const service = await bench().start(
      wanted({ client_tls_sslmode: 'require', default_pool_size: '7' }, tls),
    );
    await becomes(service, 'degraded', expect.stringContaining('TLS is left out until its files are there'));
    expect(await it.pooler.setting('default_pool_size')).toBe('7');
    expect(ini()).not.toContain('client_tls_key_file');
    for (const path of [tls.keyPath, tls.certPath]) writeFileSync(path, '');
    await expect.poll(ini).toMatch(/^client_tls_key_file = .*k\.pem$/m);
    expect(ini()).toMatch(/^client_tls_sslmode = allow$/m);
    await service.stop(never);
  });
});
