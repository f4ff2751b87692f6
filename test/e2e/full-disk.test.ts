import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { freePort } from '../support/cluster.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import { type Program, eventually } from '../support/program.ts';

// Everything of compute-local is on one small file system, as on a small machine: what fills it concerns the storage, the data
// directory and the logs at once.

const mayMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

let rig: LocalRig;
let program: Program;
let to: PgTarget;

/** Another program that takes every free byte. */
const ballast = (): string => join(rig.dir, 'ballast');
function takeAll(): void {
  const fd = openSync(ballast(), 'a');
  try {
    for (const bytes of [1024 * 1024, 4096]) while (takes(fd, bytes));
  } finally {
    closeSync(fd);
  }
}
function takes(fd: number, bytes: number): boolean {
  try {
    return writeSync(fd, Buffer.alloc(bytes)) === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

const query = (sql: string, limitMs = 5000): Promise<Record<string, unknown>[]> =>
  withPg(
    to,
    { applicationName: 'test', connectMs: limitMs, queryMs: limitMs, signal: AbortSignal.timeout(limitMs) },
    async (pg) => (await pg.query<Record<string, unknown>>(sql)).rows,
  );

beforeAll(async () => {
  if (!mayMount) return;
  rig = localRig();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,mode=755', 'none', rig.dir]);
  ({ program, to } = await rig.upAndReady([
    '--port',
    String(await freePort()),
    '--http-port',
    String(await freePort()),
  ]));
  await query('create table t (n int primary key, pad text)');
}, 120_000);

afterAll(async () => {
  if (!mayMount) return;
  program.kill('SIGTERM');
  await program.exited();
  execFileSync('umount', ['-l', rig.dir]);
  await rig.clean();
}, 120_000);

/** Asked, since the same trouble is told once a minute at most. */
async function stopsWrites(): Promise<boolean> {
  const { stdout } = await rig.command('status', '--json');
  const { storage } = JSON.parse(stdout) as { storage: { disk: { level: string } | null } };
  return storage.disk?.level === 'stop';
}

test.runIf(mayMount).each(['postgres', 'compute_ctl', 'storage'] as const)(
  'a disk that is full while %s is killed loses no commit, ends nothing for good, and all runs again when there is room',
  async (victim) => {
    const committed: number[] = [];
    let n = ((await query('select coalesce(max(n), 0)::int as n from t'))[0]?.['n'] ?? 0) as number;
    const enough = new AbortController();
    const writer = (async () => {
      while (!enough.signal.aborted) {
        const next = ++n;
        try {
          await query(`set transaction read write; insert into t values (${next}, repeat('x', 2000))`);
          committed.push(next);
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    })();
    const from = program.stdout().length;
    const said = (): string => program.stdout().slice(from);
    const failedStarts = (): number =>
      said()
        .split('\n')
        .filter((line) => /-exited".*"reason":".*(ENOSPC|[Nn]o space)/.test(line)).length;
    let filler: NodeJS.Timeout | undefined;
    try {
      await eventually('some commits', () => (committed.length > 50 ? true : undefined), 60_000);
      filler = setInterval(takeAll, 20);
      await eventually('the stop of writes', async () => (await stopsWrites()) || undefined, 60_000);
      const pid = rig.pidOf(victim);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await eventually('a start that fails for it', () => (failedStarts() > 0 ? true : undefined), 120_000);
      // It goes on failing for some seconds, and is not told each time.
      await new Promise((resolve) => setTimeout(resolve, 4000));
      expect(failedStarts()).toBeLessThan(4);
      clearInterval(filler);
      expect(program.child.exitCode).toBeNull();
      rmSync(ballast());
      const was = committed.length;
      await eventually('commits again', () => (committed.length > was + 10 ? true : undefined), 120_000);
    } finally {
      clearInterval(filler);
      enough.abort();
      rmSync(ballast(), { force: true });
      await writer;
    }
    const kept = new Set((await query('select n from t', 30_000)).map((row) => row['n']));
    expect(committed.filter((one) => !kept.has(one))).toEqual([]);
  },
  360_000,
);
