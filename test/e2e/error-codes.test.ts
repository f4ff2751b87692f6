import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseArgs } from '../../src/cli/args.ts';
import { pullConfig } from '../../src/config/control-plane.ts';
import { never } from '../../src/core/abort.ts';
import { withDeadline } from '../../src/core/clock.ts';
import { type ErrorCode, codeOf, errorCodes } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { SchemaDumps } from '../../src/database/schema-dump.ts';
import { download } from '../../src/outbound/download.ts';
import { findRemoteExtension } from '../../src/services/extensions/find.ts';
import { Compute, type ComputeOptions } from '../../src/lifecycle/compute.ts';
import { ComputeState } from '../../src/lifecycle/state.ts';
import { claimDir } from '../../src/local/claim.ts';
import { localDir, stateOf } from '../../src/local/state.ts';
import { Fence } from '../../src/local/storage/fence.ts';
import type { TimelineDir } from '../../src/local/storage/layout.ts';
import { connectPg } from '../../src/pg/client.ts';
import { parseConnstr } from '../../src/pg/connstr.ts';
import { lockPgdata } from '../../src/postgres/lock.ts';
import { locatePostgres } from '../../src/postgres/postgres-bin.ts';
import { checkWipeable } from '../../src/postgres/prepare.ts';
import { readPair } from '../../src/postgres/tls.ts';
import { endChild, termThenKill } from '../../src/process/end.ts';
import { findOsUser } from '../../src/process/os-user.ts';
import { startProcess } from '../../src/process/process.ts';
import { parseConfig } from '../../src/spec/parse.ts';
import { leaseLsn } from '../../src/storage/lease.ts';
import { syncSafekeepers } from '../../src/storage/sync.ts';
import { unpack } from '../../src/tar/unpack.ts';
import { checkCgroup } from '../../src/vm-monitor/cgroup.ts';
import { type Rig, rig } from '../support/compute.ts';
import { BackupFixture, fetchBackup, lsn } from '../support/fake-storage-backup.ts';
import { scratchDir } from '../support/scratch.ts';
import { configureBody } from '../unit/http/compute-for-tests.ts';
import { type TestServer, postJson, withServer } from '../unit/http/support.ts';

let it: Rig;
let home: string;
beforeAll(async () => {
  it = await rig();
  home = scratchDir('codes');
});
afterAll(() => it.stop());

const quiet = pino({ enabled: false });
const closed = 'postgresql://no_user@127.0.0.1:1/postgres';

/** The code that something fails with. */
async function thrown(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'nothing failed';
  } catch (error) {
    return codeOf(error);
  }
}

/** The code that a real server logs for a request that it refuses. */
async function refused(
  send: (server: TestServer) => Promise<unknown>,
  options: Parameters<typeof withServer>[0] = {},
): Promise<string> {
  let code = 'nothing was logged';
  await withServer(options, async (server) => {
    // A client that is refused in the middle of its body may not get the answer.
    await send(server).catch(() => {});
    const logged = server.lines.map((line) => JSON.parse(line) as { error_code?: string });
    code = logged.findLast((line) => line.error_code !== undefined)?.error_code ?? code;
  });
  return code;
}

/** The code in the last line of the log of a compute that has ended. */
const lastCode = (stderr: string): string =>
  / error_code=(\w+)(?: \S+)*$/.exec(stderr.trimEnd().split('\n').at(-1) ?? '')?.[1] ?? stderr;

async function afterStart(given: Parameters<Rig['start']>[0]): Promise<string> {
  const program = it.start(given);
  await program.exited();
  return lastCode(program.stderr());
}

/** A compute that has not started, with what matters for the test. */
const compute = (options: Partial<ComputeOptions>): Compute =>
  new Compute({
    state: new ComputeState(),
    log: quiet,
    liveConfigAllowed: true,
    ...options,
  } as ComputeOptions);

const remoteExtensions = {
  public_extensions: [],
  custom_extensions: [],
  library_index: {},
  extension_data: {},
};

/** A process that does not obey. */
async function stuck(what: 'process_stuck' | 'postgres_stuck'): Promise<string> {
  const deaf = 'trap "" TERM; echo on; while :; do sleep 0.05; done';
  const child = await startProcess({ command: 'sh', args: ['-c', deaf] });
  onTestFinished(async () => void (await endChild(child, termThenKill(0), never)));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return thrown(() => endChild(child, [{ signal: 'SIGTERM', graceMs: 30 }], never, { stuck: what }));
}

/** How each code comes about, with real parts. A code without its entry does not compile. */
const provoked: Readonly<Record<ErrorCode, () => Promise<string>>> = {
  usage: () => thrown(() => parseArgs(['--nope'], {})),
  config_unreadable: () => thrown(() => parseConfig('{ "spec": ')),
  spec_invalid: () =>
    refused(({ send }) => send('POST', '/configure', postJson(configureBody({ tenant_id: null })))),
  spec_shape: () =>
    refused(({ send }) => send('POST', '/configure', postJson(configureBody({ cluster: 5 })))),
  connstr: () => thrown(() => parseConnstr('nonsense')),
  control_plane: () =>
    thrown(() =>
      pullConfig({
        baseUrl: 'http://127.0.0.1:1',
        computeId: 'compute-1',
        timeoutMs: 5000,
        signal: never,
        env: {},
        token: new Secret(''),
        onAttempt: () => {},
      }),
    ),
  bad_request: () => refused(({ send }) => send('POST', '/configure', postJson('{'))),
  bad_token: () =>
    refused(({ send }) => send('GET', '/status', { headers: { authorization: 'Bearer a.b.c' } })),
  no_token: () => refused(({ send }) => send('GET', '/status', { headers: { authorization: 'Basic abc' } })),
  forbidden: () =>
    refused(async ({ send, keys }) => {
      const authorization = `Bearer ${await keys.token({ compute_id: 'another' })}`;
      await send('GET', '/status', { headers: { authorization } });
    }),
  not_local: () =>
    refused(({ send }) => send('GET', '/livez', { headers: { host: 'example.org' } }), { localOnly: true }),
  payload_too_large: () =>
    refused(({ send }) => send('POST', '/configure', postJson(Buffer.alloc(3 * 1024 * 1024, ' ')))),
  unsupported_media: () =>
    refused(({ send }) =>
      send('POST', '/configure', { headers: { 'content-type': 'text/plain' }, body: configureBody() }),
    ),
  wrong_status: () =>
    refused(({ send }) => send('POST', '/configure', postJson(configureBody())), { at: 'init' }),
  not_allowed: () => thrown(() => compute({ liveConfigAllowed: false }).configure({}, never)),
  conflict: () => thrown(() => stateOf(localDir(home))),
  not_found: () => thrown(() => findRemoteExtension(remoteExtensions, 'unknown', false)),
  busy: () =>
    thrown(() => new SchemaDumps({} as never, quiet, { dumps: 1, waiting: -1 }).dump('postgres', never)),
  os_user: () => thrown(() => findOsUser('no-such-user')),
  program_missing: () => thrown(() => startProcess({ command: '/no/such/program', args: [] })),
  process_stuck: () => stuck('process_stuck'),
  postgres_missing: () => thrown(() => locatePostgres('/no/such/postgres', {}, never)),
  postgres_version: () => thrown(() => locatePostgres('/bin/true', {}, never)),
  postgres_exited: async () => {
    const program = it.start();
    await it.until('running');
    process.kill(Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10), 'SIGKILL');
    await program.exited();
    return lastCode(program.stderr());
  },
  pgdata_refused: () => {
    writeFileSync(join(home, 'theirs'), '');
    return thrown(() => checkWipeable(home));
  },
  pgdata_locked: async () => {
    const dir = join(home, 'locked');
    mkdirSync(dir);
    const held = await lockPgdata(dir);
    onTestFinished(() => held.release());
    return thrown(() => lockPgdata(dir));
  },
  tls: () => thrown(() => readPair({ keyPath: '/no/such/key', certPath: '/no/such/certificate' })),
  safekeepers: () =>
    thrown(() =>
      syncSafekeepers(
        {
          safekeepers: ['127.0.0.1:1'],
          tenantId: 't',
          timelineId: 'l',
          token: null,
          pgbin: '/bin/false',
          cgroup: null,
          pgdata: home,
          env: {},
          log: quiet,
          knowsSync: () => Promise.resolve(true),
          onStderrLine: () => {},
          limits: { totalMs: 500 },
        },
        never,
      ),
    ),
  pageserver: () => {
    const { pageserver } = new BackupFixture().context([closed]);
    const request = { pageserver, token: null, tenantId: 't', timelineId: 'l', lsn, limitMs: 5000 };
    return thrown(() => leaseLsn(request, never));
  },
  basebackup: () => thrown(() => fetchBackup(new BackupFixture().context([closed]))),
  download: () =>
    thrown(() =>
      download(
        {
          url: 'http://127.0.0.1:1/a',
          path: join(home, 'downloaded'),
          reserveBytes: 0,
          maxBytes: 1,
          idleMs: 1000,
          env: {},
          onAttempt: () => {},
          refusal: () => 'refused',
        },
        { what: 'the download', attempts: 1, pauseMs: () => 0 },
        never,
      ),
    ),
  archive_invalid: () => {
    const dir = join(home, 'unpacked');
    mkdirSync(dir);
    const source = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(700, 'x');
    };
    return thrown(() => unpack(source(), { dir, gzip: false }, never));
  },
  postgres_start: () => {
    const spec = it.spec();
    const { settings } = spec['cluster'] as { settings: object[] };
    settings.push({ name: 'shared_preload_libraries', value: 'no_such_library', vartype: 'string' });
    return afterStart({ spec });
  },
  settings_refused: async () => {
    const program = it.start();
    await it.until('running');
    const spec = it.spec();
    const { settings } = spec['cluster'] as { settings: object[] };
    settings.push({ name: 'work_memm', value: '4MB', vartype: 'string' });
    await it.http('POST', '/configure', it.config(spec));
    const { failure } = (await it.until('failed')) as { failure?: { code: string } };
    program.kill('SIGTERM');
    await program.exited();
    return failure?.code ?? program.output();
  },
  postgres_stuck: () => stuck('postgres_stuck'),
  catalog: () => {
    const cluster = it.spec()['cluster'] as object;
    const databases = [{ name: 'shop', owner: 'nobody', options: null }];
    return afterStart({ spec: it.spec({ cluster: { ...cluster, databases } }) });
  },
  sql: () =>
    thrown(() =>
      connectPg(parseConnstr(closed), { applicationName: 'test', connectMs: 5000, signal: never }),
    ),
  port: () => thrown(() => withServer({}, ({ port }) => withServer({ port }, async () => {}))),
  deadline: () => thrown(() => withDeadline('waiting', 1, never, () => new Promise(() => {}))),
  terminated: () =>
    thrown(() => {
      const { stop } = new ComputeState();
      stop.bySignal();
      stop.asked.throwIfAborted();
    }),
  vm: () => thrown(() => checkCgroup({ root: '/no/such/cgroup', name: 'neon-postgres' })),
  dir_refused: () => {
    const root = join(home, 'foreign');
    mkdirSync(root);
    writeFileSync(join(root, 'theirs'), '');
    return thrown(() => claimDir(localDir(root)));
  },
  local_storage: () => {
    const path = join(home, 'fence.json');
    writeFileSync(path, '{}');
    return thrown(() => new Fence({ fence: path } as TimelineDir));
  },
  system: () => thrown(() => readFileSync('/no/such/file')),
  internal: () => thrown(() => Promise.reject(new Error('a bug'))),
  defect: async () => {
    const preload = join(it.home, 'defect.cjs');
    writeFileSync(preload, "process.once('SIGUSR2', () => void Promise.reject(new Error('boom')));");
    const program = it.start({ env: { NODE_OPTIONS: `--require ${preload}` } });
    await it.until('running');
    program.kill('SIGUSR2');
    return (await program.exited()) === errorCodes.defect.exit ? 'defect' : program.output();
  },
};

test.each(Object.keys(errorCodes) as ErrorCode[])('the code %s is what its failure has', async (code) => {
  expect(await provoked[code]()).toBe(code);
});

test('the runbook has a line for each code, and each says what to do', () => {
  const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');
  for (const [code, { act }] of Object.entries(errorCodes)) {
    const [line = ''] = page.split('\n').filter((one) => one.startsWith(`| \`${code}\` |`));
    expect(line).toContain(act);
    expect([code, act.length > 20]).toEqual([code, true]);
  }
});
