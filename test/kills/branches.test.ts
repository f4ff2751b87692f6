import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Listed } from '../../src/local/branches/list.ts';
import { processesIn, signalAll } from '../support/compute.ts';
import { rigPerTest, queryLocal as query, targetOf } from '../support/local.ts';
import { eventually, startProgram } from '../support/program.ts';

const it = rigPerTest();

const points = Number(process.env['COMPUTE_KILLS_POINTS'] ?? 60);
const seed = Number(process.env['COMPUTE_KILLS_SEED'] ?? Date.now() % 1_000_000);

/** Numbers from 0 to 1 that a seed repeats. @see https://github.com/bryc/code mulberry32 */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const list = async (): Promise<Listed[]> =>
  (JSON.parse(await it.ok('list', '--json')) as { computes: Listed[] }).computes;

/** Of everything that works for a directory: our programs name it, and servers work in it. */
function processesOf(dir: string): number[] {
  const named = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir);
      } catch {
        return false;
      }
    })
    .map(Number);
  return [...new Set([...named, ...processesIn(dir)])];
}

function must(is: boolean, what: string): void {
  if (!is) throw new Error(`not so: ${what}`);
}

/** What the next command must find or have repaired. */
function expectWhole(): void {
  const root = join(it.dir, 'branches');
  for (const name of readdirSync(root)) {
    expect(name).not.toMatch(/^\./);
    if (name === 'tree.lock') continue;
    must(existsSync(join(root, name, 'local.json')), `${name} has a local.json`);
    const { tenantId, timelineId } = JSON.parse(
      readFileSync(join(root, name, 'local.json'), 'utf8'),
    ) as Record<string, string>;
    const tenant = join(root, name, 'storage', String(tenantId));
    // One that was created empty has none before its first start is complete.
    const timelines = existsSync(tenant) ? readdirSync(tenant) : [];
    must(
      timelines.every((one) => one === timelineId),
      `${name} has no other timeline than its own`,
    );
  }
}

const actions = {
  create: (name: string) => ['create', name, '--stopped'],
  'create and start': (name: string) => ['create', name],
  branch: (name: string) => ['branch', name, '--stopped'],
  'branch and start': (name: string) => ['branch', name],
  reset: () => ['reset', 'base'],
  delete: () => ['delete', 'old'],
  rename: () => ['rename', 'old', 'older'],
} as const;
type Action = keyof typeof actions;

/** About how long the action takes here, in milliseconds. */
const longest: Readonly<Record<Action, number>> = {
  ...{ create: 120, branch: 130, rename: 120, delete: 250 },
  ...{ 'create and start': 2400, 'branch and start': 1300, reset: 1300 },
};

test(`${points} times a command is killed, in every phase: the next one repairs what it left (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const { to: main } = await it.upAndReady();
  await query(main, 'create table t (n int primary key)');
  let acknowledged = 0;
  const write = async (): Promise<void> => {
    await query(main, `insert into t values (${acknowledged + 1})`);
    acknowledged++;
  };
  const rows = async (name: string): Promise<number> => {
    const to = targetOf((await it.ok('start', name)).trim().split('\n').at(-1) ?? '');
    const [row] = await query(to, 'select count(*)::int as n, coalesce(max(n), 0)::int as last from t');
    expect(row?.['n']).toBe(row?.['last']);
    return Number(row?.['n']);
  };
  await write();
  await it.ok('branch', 'base');
  const names = Object.keys(actions) as Action[];
  const done: string[] = [];
  let killed = 0;
  for (let at = 0; killed < points; at++) {
    const action = names[at % names.length] as Action;
    if (action === 'delete' || action === 'rename') await it.ok('create', 'old', '--stopped');
    if (action === 'delete' && random() < 0.5) await it.ok('start', 'old');
    await write();
    const known = acknowledged;
    const name = `n${at}`;
    const afterMs = Math.round(random() * longest[action]);
    const all = random() < 0.5;
    const what = `${action}, killed after ${afterMs} ms${all ? ' with all that it started' : ''}`;
    const program = startProgram('compute-local', [...actions[action](name), '--dir', it.dir]);
    // The moment is the purpose of this test.
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    program.kill('SIGKILL');
    if (all) signalAll(processesOf(join(it.dir, 'branches')), 'SIGKILL');
    const exit = await program.exited();
    if (exit === 'SIGKILL') killed++;
    done.push(`${what}: ${exit}`);
    try {
      await write();
      // Any command of this kind repairs; a compute that still starts is not repaired, and goes on.
      for (const one of [...(await list()).map((each) => each.name)])
        if (one.startsWith('n') || one.startsWith('old')) await it.ok('stop', one);
      await it.ok('delete', 'none');
      if (all) {
        await it.ok('start', 'base');
        await it.ok('delete', 'none');
      }
      if (action === 'reset') {
        await eventually('what a reset left is removed', async () => {
          await it.ok('stop', 'base');
          await it.ok('delete', 'none');
          return true;
        });
      }
      expectWhole();
      const found = (await list()).map((each) => each.name);
      if (action.startsWith('branch') && found.includes(name))
        must((await rows(name)) >= known, 'the branch has every row that was acknowledged before');
      if (action.startsWith('create') && found.includes(name)) await it.ok('start', name);
      if (action === 'reset') must((await rows('base')) >= 1, 'the branch has the rows of its parent');
      if (action === 'rename')
        must(found.includes('old') !== found.includes('older'), 'it has one of both names');
      for (const one of found.filter((each) => !['main', 'base'].includes(each))) await it.ok('rm', one);
      expectWhole();
      await eventually('nothing of another branch runs', () => {
        const base = new Set(processesOf(join(it.dir, 'branches/base')));
        const left = processesOf(join(it.dir, 'branches')).filter((pid) => !base.has(pid));
        return left.length === 0 ? true : undefined;
      });
    } catch (error) {
      throw new Error([...done, String(error)].join('\n'), { cause: error });
    }
  }
  const [row] = await query(main, 'select count(*)::int as n from t');
  expect(row?.['n']).toBe(acknowledged);
  await it.ok('rm', 'base');
  expect(readdirSync(join(it.dir, 'branches'))).toEqual(['tree.lock']);
  process.stderr.write(`${done.join('\n')}\n${killed} of ${done.length} were killed before their end\n`);
}, 3_600_000);
