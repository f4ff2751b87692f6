import { expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';
import { helperSettings } from '../../../src/services/helper-settings.ts';

const settings = (args: string[], env: NodeJS.ProcessEnv) => {
  const parsed = parseArgs(['-c', 'x', '-C', 'postgresql://localhost', '-D', '/d', '-i', 'x', ...args], env);
  if (parsed.command !== 'run') throw new Error(JSON.stringify(parsed));
  return helperSettings(parsed.options, env);
};

test("in a pod and in a VM the original's paths and users", () => {
  const { pgbouncer, localProxy, keptOnSignal } = settings([], { PGBOUNCER_PASSWORD: 'geheim' });
  expect(pgbouncer).toMatchObject({
    iniPath: '/var/db/postgres/pgbouncer/pgbouncer.ini',
    pidPath: '/tmp/pgbouncer.pid',
    admin: { host: 'localhost', port: 6432, user: 'postgres', database: 'pgbouncer' },
  });
  expect(pgbouncer.admin.password?.reveal()).toBe('geheim');
  expect(JSON.stringify(pgbouncer)).not.toContain('geheim');
  expect(localProxy).toEqual({ configPath: '/etc/local_proxy/config.json', pidPath: '/etc/local_proxy/pid' });
  expect(keptOnSignal).toBe(false);
  expect(settings([], { AUTOSCALING: '', PGBOUNCER_PASSWORD: 'geheim' }).pgbouncer).toMatchObject({
    iniPath: '/etc/pgbouncer.ini',
    admin: { host: '/tmp', user: 'pgbouncer', password: null },
  });
});

test('each of them can be given', () => {
  const given = settings(
    [
      '--pgbouncer-ini',
      '/i',
      '--pgbouncer-host',
      'h',
      '--pgbouncer-port',
      '7',
      '--pgbouncer-pid-file',
      '/p',
      '--dev',
    ],
    { AUTOSCALING: '' },
  );
  expect(given).toMatchObject({
    pgbouncer: { iniPath: '/i', pidPath: '/p', admin: { host: 'h', port: 7 } },
    keptOnSignal: true,
  });
});
