// Fetches and unpacks base backups beside `tar` on the same bytes, in the same run, and reports speed and memory:
// `npm run bench:basebackup -- --rounds 7`. What a pageserver sends, a small cluster of about a thousand files and one of 500 MB, over
// both protocols, from a double of the pageserver in another process. Also what it would cost to fsync every file.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createLog } from '../src/core/log.ts';
import { noLsn } from '../src/core/lsn.ts';
import { openPageserver } from '../src/storage/basebackup.ts';
import { startFakeGrpc } from '../test/support/fake-grpc.ts';
import { startFakePageserver } from '../test/support/fake-storage.ts';
import { defaultPostgres, osUser } from '../test/support/postgres-versions.ts';
import { benchDir } from './bench-dir.ts';
import { type Archive, storageArchive } from './storage-archive.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: existsDir('/var/tmp') },
    /** Without the large cluster. */
    small: { type: 'boolean', default: false },
    /** For the process that is measured. */
    fetch: { type: 'string' },
    into: { type: 'string' },
  },
});

function existsDir(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : tmpdir();
}

/** The most memory this process ever had. Not getrusage: that counts what its parent had when it was forked. */
const highWaterMb = (): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

/** The measured process: one base backup, then its figures on stdout. */
async function fetchOne(url: string, pgdata: string): Promise<void> {
  const grpc = url.startsWith('grpc');
  const server = { id: 1, libpqUrl: grpc ? null : url, grpcUrl: grpc ? url : null };
  const never = new AbortController().signal;
  const beforeRss = highWaterMb();
  const start = performance.now();
  const { unpacked, connectMicros } = await openPageserver(
    {
      pageserver: {
        shardCount: 0,
        stripeSize: null,
        shards: new Map([[0, [server]]]),
        preferProtocol: 'libpq',
      },
      tenantId: '0'.repeat(32),
      timelineId: '0'.repeat(32),
      token: null,
      mode: 'primary',
      pgdata,
      keep: new Set(),
      needsWal: false,
      emptied: () => Promise.resolve(),
      log: createLog({ format: 'json', level: 'silent' }),
    },
    never,
  ).fetch(noLsn, never);
  const ms = performance.now() - start;
  const peakMb = highWaterMb();
  process.stdout.write(
    JSON.stringify({
      ms,
      connectMs: connectMicros / 1000,
      bytes: unpacked.bytes,
      files: unpacked.files,
      beforeRss,
      peakMb,
    }),
  );
}

interface Fetched {
  readonly ms: number;
  readonly connectMs: number;
  readonly bytes: number;
  readonly files: number;
  readonly beforeRss: number;
  readonly peakMb: number;
}

/** In a process of its own, while this one plays the pageserver. */
async function measured(url: string, into: string): Promise<Fetched> {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, '--fetch', url, '--into', into], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await once(child, 'close');
  return JSON.parse(text) as Fetched;
}

const work = (): string => benchDir(values.dir);

/** A fresh cluster without its WAL, and as many relation files of page-like bytes as asked for. */
function makeArchive(home: string, moreMb: number): Archive {
  const data = join(home, `data-${moreMb}`);
  mkdirSync(data);
  chmodSync(home, 0o755);
  if (osUser !== null) chownSync(data, osUser.uid, osUser.gid);
  const user = osUser ?? {};
  execFileSync(join(defaultPostgres().bindir, 'initdb'), ['-D', data, '-A', 'trust', '-N'], {
    stdio: 'ignore',
    cwd: '/',
    ...user,
  });
  for (let at = 0; at < moreMb / 32; at++)
    writeFileSync(join(data, 'base/1', String(90_000 + at)), pages(32 * 1024 * 1024, at));
  const [tarFile, gzFile] = [join(home, `${moreMb}.tar`), join(home, `${moreMb}.tar.gz`)];
  execFileSync('tar', ['cf', tarFile, '--exclude=./pg_wal/0*', '-C', data, '.']);
  execFileSync('sh', ['-c', `gzip -1 < ${tarFile} > ${gzFile}`]);
  rmSync(data, { recursive: true });
  return { gz: readFileSync(gzFile), gzFile, tarFile };
}

/** Rows that differ in numbers and repeat in words, which compress about as well as tables do. */
function pages(bytes: number, seed: number): Buffer {
  const lines: string[] = [];
  for (let size = 0, n = seed * 1e6; size < bytes; n++) {
    const line = `${n}\t${((n * 2_654_435_761) >>> 0).toString(36)}\tthe quick brown fox of customer ${n % 977}\t${(n * 37) % 100_003}\n`;
    lines.push(line);
    size += line.length;
  }
  return Buffer.from(lines.join('').slice(0, bytes));
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

async function compare(home: string, name: string, { gz, gzFile, tarFile }: Archive): Promise<void> {
  const libpq = await startFakePageserver({ tarball: gz, chunkBytes: 65_536 });
  const grpc = await startFakeGrpc({ tarball: gz });
  const results: Record<string, number[]> = {
    'ours, libpq': [],
    'ours, gRPC': [],
    'tar xzf': [],
    'tar x': [],
  };
  const peaks: Record<string, number> = {};
  const starts: Record<string, number> = {};
  const fsyncs: number[] = [];
  let figures: Fetched | null = null;
  const fresh = (): string => {
    const into = join(home, 'into');
    rmSync(into, { recursive: true, force: true });
    mkdirSync(into, { mode: 0o700 });
    if (osUser !== null) chownSync(into, osUser.uid, osUser.gid);
    execFileSync('sync');
    return into;
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [what, url] of [
      ['ours, libpq', libpq.url],
      ['ours, gRPC', grpc.url],
    ] as const) {
      figures = await measured(url, fresh());
      results[what]?.push(figures.ms);
      starts[what] = figures.beforeRss;
      peaks[what] = Math.max(peaks[what] ?? 0, figures.peakMb);
    }
    const all = `find ${join(home, 'into')} -type f -print0 | xargs -0 sync`;
    fsyncs.push(timed(() => execFileSync('sh', ['-c', all])));
    for (const [what, args] of [
      ['tar xzf', ['xzf', gzFile]],
      ['tar x', ['xf', tarFile]],
    ] as const) {
      const into = fresh();
      results[what]?.push(timed(() => execFileSync('tar', [...args, '-C', into])));
    }
  }
  await libpq.stop();
  grpc.stop();
  const mb = (figures?.bytes ?? 0) / 1e6;
  process.stdout.write(
    `\n${name}: ${figures?.files} files, ${mb.toFixed(0)} MB, ${(gz.length / 1e6).toFixed(1)} MB compressed; median of ${values.rounds}\n\n` +
      `${''.padEnd(14)}${['ms', 'MB/s', 'of tar xzf', 'peak MB', 'at start'].map((head) => head.padStart(12)).join('')}\n`,
  );
  const reference = median(results['tar xzf'] ?? []);
  for (const [what, ms] of Object.entries(results)) {
    const middle = median(ms);
    const cells = [
      middle.toFixed(0),
      (mb / (middle / 1000)).toFixed(0),
      (reference / middle).toFixed(2),
      peaks[what]?.toFixed(0) ?? '',
      starts[what]?.toFixed(0) ?? '',
    ];
    process.stdout.write(`${what.padEnd(14)}${cells.map((cell) => cell.padStart(12)).join('')}\n`);
  }
  process.stdout.write(
    `fsync of every file afterwards, which we leave out: ${median(fsyncs).toFixed(0)} ms\n`,
  );
}

if (values.fetch !== undefined && values.into !== undefined) {
  await fetchOne(values.fetch, values.into);
} else {
  const home = work();
  try {
    await compare(home, 'from a pageserver', await storageArchive(home));
    await compare(home, 'small cluster', makeArchive(home, 0));
    if (!values.small) await compare(home, 'large cluster', makeArchive(home, 480));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
