import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { ownDir } from '../../../src/process/files.ts';
import { localSpec } from '../../../src/local/spec.ts';
import { type LocalDir, type LocalState, createState, localDir } from '../../../src/local/state.ts';
import { initialise } from '../../../src/local/storage/initialise.ts';
import { serveOptions } from '../../../src/local/serve-options.ts';
import { type RunningStorage, serveStorage } from '../../../src/local/storage/serve.ts';
import { type Tools, findTools } from '../../../src/local/storage/tools.ts';
import { freePort, scratchDir } from '../../support/cluster.ts';
import { defaultPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

export const never = new AbortController().signal;

export interface LocalFixture {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly tools: Tools;
  /** Opens the storage in this process. */
  serve(maxWalBytes?: number): Promise<RunningStorage>;
  /** Starts a postmaster on a fresh base backup, as compute_ctl would, and waits until it is received from; for a
   *  copy that is not primary, or shall not be `attached`, only until it is ready. */
  startCompute(name?: string, mode?: 'primary' | 'static' | 'unattached'): Promise<TestCompute>;
  /** What the storage logged so far. */
  log(): string;
  remove(): void;
}

export interface TestCompute {
  readonly dataDir: string;
  readonly postmaster: ChildProcess;
  query(sql: string): Promise<Record<string, unknown>[]>;
  log(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** A fresh timeline in a directory of its own. It is made once per worker and copied from then on. */
export async function localFixture(): Promise<LocalFixture> {
  const home = scratchDir('local');
  const dir = localDir(home);
  const tools = await findTools(defaultPostgres().bindir, null, never);
  const ports: number[] = [];
  for (let at = 0; at < 6; at++) ports.push(await freePort());
  const [postgres, externalHttp, internalHttp, pageserver, safekeeper, controlPlane] = ports as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const state = createState(dir, {
    postgres,
    externalHttp,
    internalHttp,
    pageserver,
    safekeeper,
    controlPlane,
  });
  ownDir(dir.run, 0o700);
  await madeTimeline(dir, state, tools);
  const running = new Set<TestCompute>();
  const logged: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) });
  const fixture: LocalFixture = {
    dir,
    state,
    tools,
    serve: (maxWalBytes = 1 << 30) =>
      serveStorage(
        serveOptions({
          dir,
          state,
          tools,
          log,
          maxWalBytes,
          diskLimits: { warnBytes: null, stopBytes: null },
        }),
        never,
      ),
    async startCompute(name = 'pgdata', mode = 'primary') {
      const compute = await startCompute(fixture, join(home, name), mode === 'static' ? mode : 'primary');
      running.add(compute);
      if (mode === 'primary')
        await eventually('the receiver', async () => {
          const [row] = await compute.query('select from pg_stat_replication where sync_state = $$sync$$');
          return row;
        });
      return compute;
    },
    log: () => logged.join(''),
    remove() {
      for (const { postmaster } of running) postmaster.kill('SIGKILL');
      rmSync(home, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** A fixture with its storage open in this process, for as long as `work` takes. */
export async function withStorage(
  work: (parts: { local: LocalFixture; storage: RunningStorage }) => Promise<void>,
): Promise<void> {
  const local = await localFixture();
  const storage = await local.serve();
  try {
    await work({ local, storage });
  } finally {
    await storage.close();
    local.remove();
  }
}

let template: { readonly root: string; readonly path: string } | null = null;
afterAll(() => {
  if (template !== null) rmSync(template.root, { recursive: true, force: true });
});

async function madeTimeline(
  dir: LocalDir,
  { tenantId, timelineId }: LocalState,
  tools: Tools,
): Promise<void> {
  if (template === null) {
    const root = scratchDir('local-template');
    const made = localDir(root);
    ownDir(made.run, 0o700);
    await initialise(
      { storageDir: made.storage, tenantId, timelineId, socketDir: made.run, tools, onProgress: () => {} },
      never,
    );
    template = { root, path: join(made.storage, tenantId, timelineId) };
  }
  const copy = join(dir.storage, tenantId, timelineId);
  mkdirSync(join(dir.storage, tenantId), { recursive: true });
  execFileSync('cp', ['-a', template.path, copy]);
}

async function startCompute(fixture: LocalFixture, dataDir: string, mode: string): Promise<TestCompute> {
  const { dir, state, tools } = fixture;
  // The sender follows the archive with psql, which must not block the storage in this very process.
  const archive = await fetchArchive(fixture, '--gzip', mode);
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(`${dataDir}.tgz`, archive);
  execFileSync('tar', ['xzf', `${dataDir}.tgz`, '-C', dataDir]);
  chmodSync(dataDir, 0o700);
  const { spec } = localSpec(dir, state) as {
    spec: { cluster: { settings: { name: string; value: string }[] } };
  };
  const conf = spec.cluster.settings.map(({ name, value }) => `${name} = '${value}'\n`).join('');
  writeFileSync(join(dataDir, 'postgresql.conf'), `${conf}shared_buffers = 16MB\n`);
  const logFile = `${dataDir}.log`;
  const fd = openSync(logFile, 'a');
  const postmaster = spawn(tools.postgres.path, ['-D', dataDir], {
    stdio: ['ignore', fd, fd],
    cwd: '/',
  });
  const log = (): string => readFileSync(logFile, 'utf8');
  const query = (sql: string): Promise<Record<string, unknown>[]> => {
    const target = {
      host: dir.run,
      port: state.ports.postgres,
      user: 'cloud_admin',
      password: null,
      database: 'postgres',
      options: '',
    };
    const options = { applicationName: 'test', connectMs: 5000, queryMs: 30_000, signal: never };
    return withPg(target, options, async (pg) => (await pg.query<Record<string, unknown>>(sql)).rows);
  };
  await eventually(`the compute:\n${log()}`, () => {
    if (postmaster.exitCode !== null) throw new Error(log());
    const pidFile = join(dataDir, 'postmaster.pid');
    return existsSync(pidFile) && /\nready\s*$/.test(readFileSync(pidFile, 'utf8')) ? true : undefined;
  });
  return {
    dataDir,
    postmaster,
    query,
    log,
    async kill(signal) {
      if (postmaster.exitCode !== null || postmaster.signalCode !== null) return;
      const exited = once(postmaster, 'exit');
      postmaster.kill(signal);
      await exited;
      // After SIGKILL the children notice by themselves; a new postmaster waits for the last one.
      await eventually('the end of the backends', () => (postgresOf(dataDir) === 0 ? true : undefined));
    },
  };
}

function postgresOf(dataDir: string): number {
  const out = execFileSync(
    'sh',
    ['-c', `ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -c ' ${dataDir}$' || true`],
    { encoding: 'utf8' },
  );
  return Number(out.trim());
}

/** psql in the background: the storage of most tests lives in this process. */
export async function fetchArchive(
  { state }: LocalFixture,
  args = '--gzip',
  mode = 'primary',
): Promise<Buffer> {
  const { out, err, code } = await psqlBasebackup(state, args, mode);
  if (code !== 0) throw new Error(err);
  return out;
}

export async function psqlBasebackup(
  state: LocalState,
  args: string,
  mode = 'primary',
  given?: string,
  timeline = state.timelineId,
): Promise<{ out: Buffer; err: string; code: number }> {
  const token = given ?? (mode === 'primary' ? await startToken(state) : state.storageToken);
  const url = `postgresql://no_user:${token}@127.0.0.1:${state.ports.pageserver}/x?options=-c%20neon.compute_mode%3D${mode}`;
  const command = `basebackup ${state.tenantId} ${timeline} ${args}`;
  const child = spawn('psql', [url, '-Xq', '-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as [number];
  return { out: Buffer.concat(chunks), err, code };
}

/** The storage token that a primary gets with its spec. */
export async function startToken({ ports, computeId, controlPlaneToken }: LocalState): Promise<string> {
  const url = `http://127.0.0.1:${ports.controlPlane}/compute/api/v2/computes/${computeId}/spec`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${controlPlaneToken}` } });
  const { spec } = (await response.json()) as { spec: { storage_auth_token: string } };
  return spec.storage_auth_token;
}
