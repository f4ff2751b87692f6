import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { never } from '../../src/core/abort.ts';
import { withPg } from '../../src/pg/client.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import type { Program } from '../support/program.ts';
import { type Mounted, loopFileSystem } from '../support/loop-file-system.ts';

let place: Mounted | null = null;
let local: LocalRig | null = null;
afterEach(async () => {
  await local?.clean();
  place?.release();
  [local, place] = [null, null];
}, 60_000);

const rowsEach = 10_000;
const rounds = 4;
const slowly = { timeout: 120_000, interval: 50 };

test.for([
  ['ext4', false],
  ['xfs', true],
  ['btrfs', true],
] as const)(
  'on %s a wake uses what was prepared, and where the file system can clone that is a clone of a template',
  { timeout: 600_000 },
  async ([kind, canClone], { skip }) => {
    place = loopFileSystem(kind);
    skip(place === null, 'it needs root, a loop device and the programs of the file system');
    if (place === null) return;
    local = localRig(undefined, mkdtempSync(join(place.path, 'local-')));
    const { dir } = local;
    const { program, to } = await local.upAndReady(['--suspend-after', '500ms']);
    const options = { applicationName: 'test', connectMs: 60_000, queryMs: 60_000, signal: never };
    const query = (sql: string) => withPg(to, options, async (pg) => (await pg.query(sql)).rows as unknown[]);
    const ways = (): string[] =>
      program
        .stdout()
        .split('\n')
        .filter((line) => line.includes('"event":"prepared"'))
        .map((line) => (JSON.parse(line) as { way: string }).way);
    await query('create table kept (n int, t text)');
    for (let round = 1; round <= rounds; round++) {
      await expect.poll(() => ways().length, slowly).toBe(round);
      await query(
        `insert into kept select ${round}, repeat('x', 1000) from generate_series(1, ${rowsEach}) n`,
      );
      const found = await query('select n, count(*)::int as rows from kept group by n order by n');
      expect(found).toEqual(Array.from({ length: round }, (_, at) => ({ n: at + 1, rows: rowsEach })));
    }
    await expect.poll(() => ways().length, slowly).toBe(rounds + 1);
    const later = canClone ? 'advanced' : 'unpacked';
    expect(ways()).toEqual(['unpacked', ...Array.from({ length: rounds }, () => later)]);
    expect(existsSync(join(dir, 'pgdata.template'))).toBe(canClone);
    expect(program.stdout()).not.toContain('"event":"not-prepared"');
    const log = readFileSync(join(dir, 'log/compute_ctl.log'), 'utf8');
    expect(log.split('a base backup is not needed')).toHaveLength(rounds + 1);
    if (canClone) await usesTemplate(local, program, () => query('select'));
  },
);

/** Stopped while it is awake, so that nothing but the template is left. */
async function usesTemplate(rig: LocalRig, program: Program, wake: () => Promise<unknown>): Promise<void> {
  await wake();
  program.kill('SIGINT');
  await program.exited();
  const next = await rig.upAndReady(['--suspend-after', '5min']);
  expect(next.program.stdout()).toContain('"way":"advanced"');
  const log = readFileSync(join(rig.dir, 'log/compute_ctl.log'), 'utf8');
  expect(log.split('a base backup is not needed')).toHaveLength(rounds + 3);
}
