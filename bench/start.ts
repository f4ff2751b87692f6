import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
  copyFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import { defaultPostgres, osUser } from '../test/support/postgres-versions.ts';

/** `npm run bench:start -- --runs 30`: starts of compute_ctl against the embedded storage, and beside each of them the floor,
 *  which is `tar xzf` of the same tarball plus a bare `postgres` until ready. Milliseconds. In memory by default: some file
 *  systems need a millisecond for each new file after many were deleted, which drowns everything else; see `--dir`. */
const { values } = parseArgs({
  options: { runs: { type: 'string', default: '30' }, dir: { type: 'string', default: '/dev/shm' } },
});
const runs = Number(values.runs);
/** Memory is looked at after so many milliseconds without work. */
const idleMs = 1500;
const { bindir } = defaultPostgres();
const dir = mkdtempSync(join(values.dir, 'compute-ctl-bench-'));
chmodSync(dir, 0o755);
const dist = new URL('..', import.meta.url).pathname;

interface LocalJson {
  readonly computeId: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly storageToken: string;
  readonly controlPlaneToken: string;
  readonly ports: Record<
    'postgres' | 'externalHttp' | 'internalHttp' | 'pageserver' | 'controlPlane',
    number
  >;
}
interface Line {
  readonly msg: string;
  readonly time: string;
  readonly total_ms?: number;
  readonly steps?: Record<string, number>;
}

const local = (...args: string[]): ChildProcess =>
  spawn(process.execPath, [join(dist, 'compute-local.js'), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });

/** Resolves with the first line of a stream that `wanted` accepts. */
function line(stream: NodeJS.ReadableStream, wanted: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stream });
    const said: string[] = [];
    lines.on('line', (text) => {
      said.push(text);
      if (wanted(text)) resolve(text);
    });
    lines.once('close', () =>
      reject(new Error(`ended before it said what was waited for:\n${said.join('\n')}`)),
    );
  });
}

const json = (text: string): Line | null => (text.startsWith('{') ? (JSON.parse(text) as Line) : null);
const ready = (text: string): boolean => text.includes('"ready"');

async function prepare(): Promise<LocalJson> {
  const up = local('up', '--dir', dir, '--json');
  await line(up.stdout as NodeJS.ReadableStream, ready);
  up.kill('SIGTERM');
  await once(up, 'exit');
  return JSON.parse(readFileSync(join(dir, 'local.json'), 'utf8')) as LocalJson;
}

type Sample = Record<string, number>;

async function computeRun(state: LocalJson): Promise<Sample> {
  const spawnedAt = Date.now();
  const { ports } = state;
  const args = [
    join(dist, 'compute_ctl.js'),
    ...['-p', `http://127.0.0.1:${ports.controlPlane}`, '-i', state.computeId, '-D', join(dir, 'pgdata')],
    ...['-C', `postgresql://cloud_admin@${encodeURIComponent(join(dir, 'run'))}:${ports.postgres}/postgres`],
    ...[
      '-b',
      join(bindir, 'postgres'),
      '--log-format',
      'json',
      '--external-http-port',
      String(ports.externalHttp),
    ],
    ...['--internal-http-port', String(ports.internalHttp)],
  ];
  const env = { ...process.env, NEON_CONTROL_PLANE_TOKEN: state.controlPlaneToken, RUST_LOG: 'info' };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let listening = 0;
  const finished = await line(child.stderr, (text) => {
    const event = json(text);
    if (event?.msg.includes('HTTP server listening') === true)
      listening ||= Date.parse(event.time) - spawnedAt;
    return event?.msg === 'compute start finished';
  });
  const event = json(finished);
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const memory = {
    rss_mb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    rss_anonymous_mb: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024,
  };
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { listening, total_startup_ms: event?.total_ms ?? Number.NaN, ...event?.steps, ...memory };
}

async function fetchTarball(state: LocalJson, file: string): Promise<void> {
  const { tenantId, timelineId, ports } = state;
  const client = new pg.Client({
    host: '127.0.0.1',
    port: ports.pageserver,
    user: 'bench',
    password: state.storageToken,
  });
  await client.connect();
  await pipeline(
    client.query(copyStreams.to(`basebackup ${tenantId} ${timelineId} --gzip`)),
    createWriteStream(file),
  );
  await client.end();
}

let serial = 0;

async function floorRun(state: LocalJson): Promise<Sample> {
  const tarball = join(dir, 'floor.tar.gz');
  await fetchTarball(state, tarball);
  chmodSync(tarball, 0o644);
  const data = join(dir, `floor-${serial++}`);
  mkdirSync(data, { mode: 0o700 });
  if (osUser !== null) chownSync(data, osUser.uid, osUser.gid);
  const user = osUser ?? {};
  const untarStart = performance.now();
  execFileSync('tar', ['xzf', tarball, '-C', data], user);
  const untar = performance.now() - untarStart;
  copyFileSync(join(dir, 'pgdata/postgresql.conf'), join(data, 'postgresql.conf'));
  chmodSync(join(data, 'postgresql.conf'), 0o644);
  writeFileSync(join(data, 'postgresql.auto.conf'), `port = ${state.ports.postgres}\n`);
  const startStart = performance.now();
  const postgres = spawn(join(bindir, 'postgres'), ['-D', data], { stdio: 'ignore', cwd: '/', ...user });
  const pidFile = join(data, 'postmaster.pid');
  while (!(existsSync(pidFile) && readFileSync(pidFile, 'utf8').trimEnd().endsWith('ready'))) {
    if (postgres.exitCode !== null) throw new Error('the bare Postgres ended');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const start = performance.now() - startStart;
  postgres.kill('SIGQUIT');
  await once(postgres, 'exit');
  return { floor_untar: untar, floor_postgres: start, floor: untar + start };
}

function report(samples: Sample[]): void {
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample)))];
  const row = (name: string, numbers: number[]): string => {
    const sorted = numbers.toSorted((a, b) => a - b);
    const at = (q: number): string =>
      (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(1);
    return `${name.padEnd(24)}${[0.5, 0.9, 0.99].map((q) => at(q).padStart(10)).join('')}`;
  };
  console.log(`\n${runs} starts against the embedded storage, milliseconds\n`);
  console.log(`${''.padEnd(24)}${['p50', 'p90', 'p99'].map((head) => head.padStart(10)).join('')}`);
  for (const name of names) {
    console.log(
      row(
        name,
        samples.map((sample) => sample[name]).filter((value) => value !== undefined),
      ),
    );
  }
  console.log(
    row(
      'own share',
      samples.map((sample) => (sample['total_startup_ms'] ?? 0) - (sample['floor'] ?? 0)),
    ),
  );
}

try {
  const state = await prepare();
  const storage = local('storage', '--dir', dir, '--pg-bin-dir', bindir);
  await line(storage.stdout as NodeJS.ReadableStream, ready);
  const samples: Sample[] = [];
  for (let run = 0; run < runs; run++) {
    const compute = await computeRun(state);
    samples.push({ ...compute, ...(await floorRun(state)) });
    process.stderr.write(`\r${run + 1}/${runs}`);
  }
  storage.stdin?.end();
  await once(storage, 'exit');
  report(samples);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
