import { existsSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../src/core/abort.ts';
import { withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { processesIn } from '../support/compute.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import { loopFileSystem } from '../support/loop-file-system.ts';
import type { Program } from '../support/program.ts';

/** `npm run test:prepare`: every process that has a part in a preparation is killed at random moments of it. On the file systems that
 *  can clone, half as often. */
const rounds = Number(process.env['COMPUTE_LOCAL_KILL_ROUNDS'] ?? '42');
const args = ['--suspend-after', '300ms'];

const slowly = { timeout: 120_000, interval: 50 };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Null: in memory. */
describe.each([null, 'xfs', 'btrfs'] as const)('on %s (null: in memory)', (kind) => {
  const place = kind === null ? null : loopFileSystem(kind);
  const isPossible = kind === null || place !== null;
  let local: LocalRig;
  let program: Program;
  let to: PgTarget;

  beforeAll(async () => {
    if (!isPossible) return;
    local = place === null ? localRig() : localRig(undefined, mkdtempSync(join(place.path, 'local-')));
    ({ program, to } = await local.upAndReady(args));
    await query('create table kept (n int primary key, filler text)');
  }, 120_000);
  afterAll(async () => {
    if (isPossible) await local.clean();
    place?.release();
  }, 60_000);

  async function query(sql: string): Promise<Record<string, unknown>[]> {
    const options = { applicationName: 'test', connectMs: 60_000, queryMs: 60_000, signal: never };
    return withPg(to, options, async (pg) => (await pg.query<Record<string, unknown>>(sql)).rows);
  }

  const pids = (file: string): number[] => {
    try {
      const text = readFileSync(join(local.dir, file), 'utf8');
      return [text.startsWith('{') ? (JSON.parse(text) as { pid: number }).pid : Number(text.split('\n')[0])];
    } catch {
      return [];
    }
  };
  /** What is killed. The PostgreSQL that recovers: its postmaster, and all of it. */
  const victims = {
    'the preparation': () => pids('next.pid'),
    'its postmaster': () => [
      ...pids('pgdata.next.new/postmaster.pid'),
      ...pids('pgdata.template/postmaster.pid'),
    ],
    'all of its PostgreSQL': () =>
      ['pgdata.next.new', 'pgdata.template'].flatMap((name) => processesIn(join(local.dir, name))),
    up: () => [program.child.pid!],
    compute_ctl: () => pids('compute_ctl.pid'),
    'the compute, before the storage has much of it': () => [
      ...pids('compute_ctl.pid'),
      ...processesIn(local.pgdata),
    ],
    'the storage': () => pids('storage.pid'),
  } as const;
  const wakes: ReadonlySet<string> = new Set([
    'compute_ctl',
    'the compute, before the storage has much of it',
  ]);
  const count = (event: string): number => program.stdout().split(`"event":"${event}"`).length - 1;
  const names = (what: RegExp): string[] => readdirSync(local.dir).filter((name) => what.test(name));
  const ofThis = Math.ceil(rounds / (kind === null ? 1 : 2));

  test.runIf(isPossible)(
    `after ${ofThis} kills every commit is there, and nothing is left over`,
    async () => {
      const kinds = Object.keys(victims) as (keyof typeof victims)[];
      const killed: Record<string, number> = {};
      let rows = 0;
      for (let round = 0; round < ofThis; round++) {
        const kind = kinds[round % kinds.length]!;
        await expect.poll(() => count('asleep') > count('waking'), slowly).toBe(true);
        const delayMs = Math.random() * 1500;
        await pause(delayMs);
        // In the middle of a wake: that is when there is one.
        if (wakes.has(kind)) {
          query('select').catch(() => {});
          await pause(Math.random() * 600);
        }
        // The PostgreSQL is there for a moment only.
        for (let tries = 0; tries < 100 && victims[kind]().length === 0; tries++) await pause(5);
        const hit = victims[kind]();
        for (const pid of hit) {
          try {
            process.kill(pid, 'SIGKILL');
            killed[kind] = (killed[kind] ?? 0) + 1;
          } catch {
            // It has ended by itself.
          }
        }
        if (kind === 'up') {
          await program.exited();
          ({ program, to } = await local.upAndReady(args));
        }
        // Sometimes in the middle of it, sometimes when a preparation is complete.
        await pause(Math.random() * 1500);
        await expect
          .poll(
            () =>
              query(`insert into kept values (${rows}, repeat('x', 1000))
      on conflict do nothing`).then(
                () => true,
                () => false,
              ),
            slowly,
          )
          .toBe(true);
        rows++;
        expect(await query('select count(*)::int as n from kept'), `${kind} after ${delayMs} ms`).toEqual([
          { n: rows },
        ]);
      }
      process.stderr.write(`killed: ${JSON.stringify(killed)}\n`);
      program.kill('SIGINT');
      await program.exited();
      await expect.poll(() => processesIn(local.dir), slowly).toEqual([]);
      ({ program, to } = await local.upAndReady(['--suspend-after', '0']));
      expect(await query('select count(*)::int as n from kept')).toEqual([{ n: rows }]);
      await expect.poll(() => names(/^pgdata\.(old|next|template)/), slowly).toEqual([]);
      expect(existsSync(join(local.dir, 'next.pid'))).toBe(false);
    },
    3_600_000,
  );
});
