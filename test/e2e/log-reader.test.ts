import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectPg, destroyPg } from '../../src/pg/client.ts';
import { parseConnstr } from '../../src/pg/connstr.ts';
import { type Rig, rig } from '../support/compute.ts';
import { type Program, eventually } from '../support/program.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const target = () => parseConnstr(`postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`);
const connection = {
  applicationName: 'test',
  connectMs: 10_000,
  queryMs: 60_000,
  signal: new AbortController().signal,
};

/** A named pipe, as a log collector has one: `writer` is the program's stderr. */
function pipe(): { reader: number; writer: number } {
  const path = join(it.home, 'stderr');
  execFileSync('mkfifo', ['-m', '666', path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

function read(reader: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  try {
    return buffer.toString('latin1', 0, readSync(reader, buffer));
  } catch {
    return '';
  }
}

const rssKb = ({ pid }: Program): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const dropped = async (): Promise<number> =>
  Number(
    /^compute_ctl_log_lines_dropped_total (\d+)/m.exec((await it.http('GET', '/metrics')).body)?.[1] ?? 0,
  );

/** Postgres logs as fast as it can for a few seconds. Gives how long each GET /livez and each query took meanwhile. */
async function flood(program: Program): Promise<{ livezMs: number[]; queryMs: number[]; rssKb: number }> {
  const noisy = await connectPg(target(), connection);
  const other = await connectPg(target(), connection);
  const [livezMs, queryMs]: number[][] = [[], []];
  let rss = 0;
  let done = false;
  const noise = noisy
    .query(
      `do $$ begin while clock_timestamp() < now() + interval '6 seconds'
       loop raise log '%', repeat('noise ', 170); end loop; end $$`,
    )
    .finally(() => (done = true));
  while (!done) {
    let startMs = performance.now();
    await fetch(`http://127.0.0.1:${it.httpPort}/livez`).then((answer) => answer.text());
    livezMs?.push(performance.now() - startMs);
    startMs = performance.now();
    await other.query('select 1');
    queryMs?.push(performance.now() - startMs);
    rss = Math.max(rss, rssKb(program));
    await new Promise((resolve) => setTimeout(resolve, 50)); // the pace of the client
  }
  await noise;
  for (const client of [noisy, other]) destroyPg(client);
  return { livezMs: livezMs ?? [], queryMs: queryMs ?? [], rssKb: rss };
}

const median = (of: number[]): number => of.toSorted((a, b) => a - b)[of.length >> 1] ?? Infinity;

async function unhindered(program: Program): Promise<void> {
  const seen = await flood(program);
  expect(median(seen.livezMs)).toBeLessThan(100);
  expect(median(seen.queryMs)).toBeLessThan(100);
  expect(seen.rssKb).toBeLessThan(300_000);
  expect(await dropped()).toBeGreaterThan(0);
}

test('a reader of the log that stopped costs log lines: livez, queries and SIGTERM go on', async () => {
  const { reader, writer } = pipe();
  const program = it.start({ stderr: writer });
  closeSync(writer);
  await it.until('running');
  await unhindered(program);
  program.kill('SIGTERM');
  expect(await program.exited(30_000)).toBe(0);
  closeSync(reader);
});

test('a reader that takes 20 kB a second gets whole lines, and is told how many are missing', async () => {
  const { reader, writer } = pipe();
  const program = it.start({ stderr: writer });
  closeSync(writer);
  let said = '';
  const slow = setInterval(() => (said += read(reader, 2000)), 100);
  try {
    await it.until('running');
    await unhindered(program);
  } finally {
    clearInterval(slow);
  }
  await eventually('the notice', () => {
    said += read(reader, 65_536);
    return / WARN \d+ log lines were dropped: /.test(said) ? true : undefined;
  });
  program.kill('SIGTERM');
  const end = program.exited(30_000);
  const fast = setInterval(() => (said += read(reader, 65_536)), 5);
  expect(await end).toBe(0);
  clearInterval(fast);
  said += read(reader, 1 << 20);
  closeSync(reader);
  const lines = said.split('\n').slice(0, -1);
  expect(lines.filter((line) => !/^(?:PG:|\d{4}-\d\d-\d\dT)/.test(line))).toEqual([]);
  expect(
    lines.filter((line) => line.includes('noise noise') && !/^PG:.*LOG: {2}(?:noise ){170}/.test(line)),
  ).toEqual([]);
  expect(said).toContain('received SIGTERM');
});

test('a reader behind a socket that stopped costs log lines, too', async () => {
  const program = it.start();
  await it.until('running');
  program.child.stderr?.pause();
  await unhindered(program);
  program.kill('SIGTERM');
  expect(await program.exited(30_000)).toBe(0);
});

/** Containers often may not mount. */
const canMount = (): boolean =>
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test.runIf(canMount())(
  'lines that find no room on a full disk are counted, and the log says so when there is room again',
  async () => {
    const disk = join(it.home, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'log', disk]);
    try {
      const log = openSync(join(disk, 'log'), 'a');
      writeFileSync(join(disk, 'other'), Buffer.alloc(56 * 1024));
      it.start({ stderr: log });
      closeSync(log);
      await it.until('running');
      const before = await eventually('lost lines', async () => (await dropped()) || undefined);
      rmSync(join(disk, 'other'));
      const written = (): string[] => readFileSync(join(disk, 'log'), 'utf8').trimEnd().split('\n');
      await eventually('the notice', async () => {
        await it.http('POST', '/check_writability');
        return written().some((line) => /dropped/.test(line)) || undefined;
      });
      const told = Number(/(\d+) log lines were dropped/.exec(written().join('\n'))?.[1]);
      expect(told).toBeGreaterThanOrEqual(before);
      // The line that was cut off does not swallow the one after it.
      expect(written().find((line) => line.includes('log lines were dropped'))).toMatch(/^\d{4}-/);
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  },
);
