import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';
import { type CheckOutcome, check } from '../../../src/cli/check.ts';
import { freePort, scratchDir } from '../../support/cluster.ts';
import { makePemPair, writePair } from '../../support/tls-pairs.ts';
import type { TlsFiles } from '../../../src/postgres/tls.ts';
import { type Installed, defaultPostgres, installedPostgres } from '../../support/postgres-versions.ts';
import { issuer } from '../../support/tokens.ts';

const home = scratchDir('check');
afterAll(() => rmSync(home, { recursive: true, force: true }));

const keys = issuer();
const text = (name: string, value: string) => ({ name, value, vartype: 'string' });
const programOf = ({ bindir }: Installed): string => join(bindir, 'postgres');
const mine = programOf(defaultPostgres());

const specOf = (cluster: object = {}, fields: object = {}): object => ({
  format_version: 1,
  suspend_timeout_seconds: 0,
  tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
  timeline_id: '641e5342083b2235ee3deb8066819683',
  pageserver_connstring: 'postgresql://no_user@127.0.0.1:6400',
  safekeeper_connstrings: ['127.0.0.1:7676'],
  cluster: { roles: [], databases: [], settings: [text('shared_preload_libraries', '')], ...cluster },
  ...fields,
});

interface Given {
  readonly jwks?: object;
  readonly tls?: object;
  readonly program?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** @returns the outcome, and what it says in both forms */
async function checked(
  spec: object | null,
  { jwks = keys.jwks, tls, program = mine, args = [], env = process.env }: Given = {},
): Promise<CheckOutcome & { said: string }> {
  const file = join(home, 'config.json');
  const compute_ctl_config = { jwks, ...(tls === undefined ? {} : { tls }) };
  writeFileSync(file, JSON.stringify({ spec, compute_ctl_config }));
  const given = parseArgs(['check', '-c', file, ...(program === '' ? [] : ['-b', program]), ...args], {});
  if (given.command !== 'check') throw new Error('this is a check');
  const outcome = await check(given, env);
  return { ...outcome, said: [outcome.text, ...outcome.log].join('\n') };
}

const invalid = async (why: RegExp, ...given: Parameters<typeof checked>): Promise<void> => {
  const { exitCode, log, text } = await checked(...given);
  expect(log.join('\n')).toMatch(why);
  expect([exitCode, text.trimEnd().split('\n').at(-1)]).toEqual([1, expect.stringMatching(/^invalid: /)]);
};

const warned = async (why: RegExp, ...given: Parameters<typeof checked>): Promise<void> => {
  const { exitCode, log, text } = await checked(...given);
  expect(text).toMatch(why);
  expect([exitCode, log]).toEqual([3, []]);
};

describe.each(installedPostgres().map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (major, postgres) => {
    const program = programOf(postgres);

    test('what PostgreSQL looks at only when it starts is found, and what needs this machine with --live', async () => {
      const given = (...settings: object[]): object =>
        specOf({ settings: [text('shared_preload_libraries', ''), ...settings] });
      for (const [why, ...settings] of [
        [/hba_file: \/nowhere cannot be read \(ENOENT\)/, text('hba_file', '/nowhere')],
        [/ssl_key_file: \/nowhere cannot be/, text('ssl', 'on'), text('ssl_key_file', '/nowhere')],
        [/listen_addresses: "a,,b" is not a list/, text('listen_addresses', 'a,,b')],
        [/cannot create files in \/nowhere/, text('unix_socket_directories', '/nowhere')],
        [/\/etc\/passwd is not a library/, text('shared_preload_libraries', '/etc/passwd')],
        [/data_directory cannot be given/, text('data_directory', '/nowhere')],
      ] as const)
        await invalid(why, given(...settings), { program });
      const small = await checked(given(text('min_wal_size', '2MB')), { program });
      expect(small.text).toContain('not checked: whether min_wal_size = 2 MB is enough');
      const huge = given(text('shared_buffers', '6TB'));
      expect((await checked(huge, { program })).exitCode).toBe(0);
      const ports = ['--external-http-port', String(await freePort())];
      const args = [...ports, '--internal-http-port', String(await freePort()), '--live'];
      await invalid(/shared_buffers: 6291456 MB are more than the memory/, huge, { program, args });
    });

    test('a config that a start can use is valid, placeholders of libraries that are not loaded included', async () => {
      const settings = [
        text('shared_preload_libraries', 'pg_stat_statements'),
        text('neon.protocol_of_tomorrow', '3'),
        text('my_app.tenant', 'one'),
      ];
      const { exitCode, log, text: said } = await checked(specOf({ settings }), { program });
      expect(log).toEqual([]);
      expect(said).toMatch(/\nvalid\n$/);
      expect(exitCode).toBe(0);
    });

    test('all that is wrong with the settings is named at once, with its place in the spec', async () => {
      const settings = [
        text('shared_preload_libraries', ''),
        text('shared_bufers', '32MB'),
        text('work_mem', 'lots'),
        text('log_destination', 'nowhere'),
      ];
      const postgresql_conf = 'fsnyc = off\nwal_level = logical\nport = 1 hunter2\nmax_connections = -3\n';
      const { exitCode, log, said } = await checked(specOf({ settings, postgresql_conf }), { program });
      const all = log.join('\n');
      for (const expected of [
        'spec.cluster.settings[1] (shared_bufers): unrecognized configuration parameter "shared_bufers"',
        'spec.cluster.settings[2] (work_mem): invalid value for parameter "work_mem": "lots"',
        'spec.cluster.settings[3] (log_destination): invalid value',
        'spec.cluster.postgresql_conf, line 1: unrecognized configuration parameter "fsnyc"',
        'spec.cluster.postgresql_conf, line 3: syntax error',
        'spec.cluster.postgresql_conf: -3 is outside the valid range for parameter "max_connections"',
      ])
        expect(all).toContain(expected);
      expect(said).not.toContain('hunter2');
      expect(exitCode).toBe(1);
    });

    test('a setting of another major is named by the PostgreSQL that will run', async () => {
      const { exitCode } = await checked(
        specOf({ settings: [text('shared_preload_libraries', ''), text('transaction_timeout', '0')] }),
        { program },
      );
      expect(exitCode).toBe(major >= 17 ? 0 : 1);
    });

    test('settings that contradict each other are named', async () => {
      const settings = [
        text('shared_preload_libraries', ''),
        text('max_connections', '3'),
        text('wal_level', 'minimal'),
        text('archive_mode', 'on'),
      ];
      const { exitCode, log } = await checked(specOf({ settings }), { program });
      const all = log.join('\n');
      for (const expected of ['3 reserved ones', 'archive_mode = on', 'max_wal_senders = 10'])
        expect(all).toContain(expected);
      expect(exitCode).toBe(1);
    });

    test('a library to preload that is not installed is named', () =>
      invalid(
        /shared_preload_libraries: there is no library "pg_stat_statments" \(\/.*pg_stat_statments\)/,
        specOf({ settings: [text('shared_preload_libraries', 'pg_stat_statments')] }),
        { program },
      ));
  },
);

test('a file that postgresql.conf includes from the data directory is a warning, and the rest is checked', async () => {
  const postgresql_conf = "include 'own.conf'\nfsnyc = off\n";
  const { exitCode, text: said, log } = await checked(specOf({ postgresql_conf }));
  expect(said).toMatch(/warning: .*own\.conf/);
  expect(log.join()).toContain('line 2: unrecognized configuration parameter "fsnyc"');
  expect(exitCode).toBe(1);
  await warned(/own\.conf/, specOf({ postgresql_conf: "include 'own.conf'\n" }));
});

test('without PostgreSQL the settings are said to be unchecked, and one that was named must be there', async () => {
  const { exitCode, text: said } = await checked(specOf(), { program: '', env: { PATH: '/nonexistent' } });
  expect(said).toMatch(/not checked: the settings.*--pgbin/);
  expect(exitCode).toBe(0);
  await invalid(/no executable file/, specOf(), { program: '/no/such/postgres' });
  await invalid(/not a PostgreSQL server/, specOf(), { program: '/bin/true' });
});

test('where no directory can be created the settings are said to be unchecked', async () => {
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = join(home, 'no-such-directory');
  try {
    const { exitCode, text: said } = await checked(specOf());
    expect([exitCode, said]).toEqual([0, expect.stringMatching(/not checked: the settings: .*ENOENT/)]);
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
});

const broken = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'short' };

test('unusable keys and an empty key set are named, and fail a compute that waits for its spec', async () => {
  await warned(/the key set is empty, so every request/, specOf(), { jwks: { keys: [] } });
  await invalid(/the key set is empty, so nobody can send the spec/, null, { jwks: { keys: [] } });
  await invalid(/no key of the key set can be used/, specOf(), { jwks: { keys: [broken] } });
  await warned(/key 1 of the key set is not used.*"short"/, specOf(), {
    jwks: { keys: [...keys.jwks.keys, broken] },
  });
});

test('addresses that cannot be read are named without their passwords', async () => {
  const bad = specOf({}, { pageserver_connstring: 'postgresql://u:hunter2@host:99999999' });
  const { exitCode, said } = await checked(bad);
  expect([exitCode, said.includes('hunter2')]).toEqual([1, false]);
  await invalid(/safekeeper 2: /, specOf({}, { safekeeper_connstrings: ['127.0.0.1:7676', 'host:port'] }));
});

test('a format version of the future, logs that go nowhere, and unknown fields are warnings', async () => {
  await warned(/format_version is 2/, specOf({}, { format_version: 2 }));
  await warned(/logs_export_host is not an address: "nowhere"/, specOf({}, { logs_export_host: 'nowhere' }));
  await warned(/Full needs a collector/, specOf({}, { audit_log_level: 'Full' }));
  await warned(/unknown field spec\.new_thing is ignored/, specOf({}, { new_thing: 1 }));
  await warned(/--http-port is ignored/, specOf(), { args: ['--http-port', '8000'] });
});

test('files that are not there, and a data directory of somebody else, are named', async () => {
  const tls = { key_path: join(home, 'no.key'), cert_path: join(home, 'no.crt') };
  await invalid(/no\.(key|crt)/, specOf({}, { features: ['tls_experimental'] }), { tls });
  await warned(/no\.(key|crt)/, specOf(), { tls });
  const withTls = specOf({}, { features: ['tls_experimental'] });
  const given = (files: TlsFiles): object => ({
    tls: { key_path: files.keyPath, cert_path: files.certPath },
  });
  await warned(/warning: the TLS certificate of CN=soon expires at 20.* and has not been renewed/, withTls, {
    ...given(writePair(home, makePemPair('soon', 'P-256', [-80, 10]))),
  });
  await warned(/warning: the TLS certificate of CN=old expired at/, withTls, {
    ...given(writePair(home, makePemPair('old', 'P-256', [-80, -1]))),
  });
  await warned(/CN=ed is signed with Ed25519 .* channel_binding=disable/, withTls, {
    ...given(writePair(home, makePemPair('ed', 'Ed25519'))),
  });
  const fine = writePair(home, makePemPair('fine'));
  expect((await checked(withTls, given(fine))).exitCode).toBe(0);
  writeFileSync(fine.keyPath, makePemPair('other').key);
  await invalid(/the TLS key .*tls\.key does not belong to the certificate/, withTls, given(fine));
  const foreign = join(home, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'PG_VERSION'), '15');
  await invalid(/was not created by compute_ctl/, specOf(), { args: ['-D', foreign] });
});

test('a port that differs from the one in --connstr is named', () =>
  invalid(/will listen at port 5432, and --connstr names port 5555/, specOf(), {
    args: ['-C', 'postgresql://cloud_admin@localhost:5555/postgres'],
  }));

test('ports in use are found with --live only', async () => {
  const [taken, external, internal] = [await freePort(), await freePort(), await freePort()];
  const other = createServer().listen(taken, '127.0.0.1');
  await once(other, 'listening');
  const ports = ['--external-http-port', String(external), '--internal-http-port', String(internal)];
  const settings = [
    text('shared_preload_libraries', ''),
    text('port', String(taken)),
    text('listen_addresses', '127.0.0.1'),
  ];
  try {
    expect((await checked(specOf({ settings }), { args: ports })).exitCode).toBe(0);
    await invalid(/Postgres cannot listen at 127\.0\.0\.1/, specOf({ settings }), {
      args: [...ports, '--live'],
    });
  } finally {
    other.close();
  }
  const { exitCode, said } = await checked(specOf({ settings }), { args: [...ports, '--live'] });
  expect([exitCode, said]).toEqual([0, expect.stringContaining('valid')]);
});

test('with --log-format json what is wrong is an object in each line, too', async () => {
  const settings = [text('work_mem', 'lots'), text('wrok_mem', '1MB')];
  const { log, exitCode } = await checked(specOf({ settings }), { args: ['--log-format', 'json'] });
  expect(exitCode).toBe(1);
  const lines = log
    .map((line) => JSON.parse(line) as { level: string })
    .filter(({ level }) => level === 'error');
  expect(lines).toEqual([
    expect.objectContaining({ level: 'error', msg: expect.stringContaining('wrok_mem') as string }),
    expect.objectContaining({ level: 'error', msg: expect.stringContaining('work_mem') as string }),
  ]);
});

test('JSON has the verdict and the findings', async () => {
  const { text: printed } = await checked(specOf({}, { logs_export_host: 'nowhere' }), {
    args: ['--json'],
  });
  expect(JSON.parse(printed)).toMatchObject({
    verdict: 'warnings',
    errors: [],
    warnings: [{ text: expect.stringContaining('logs_export_host') as string }],
    unchecked: [],
  });
});
