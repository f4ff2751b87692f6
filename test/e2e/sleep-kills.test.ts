import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { processesIn } from '../support/compute.ts';
import { killOf } from '../support/data-safety-kills.ts';
import { localRig, queryLocal } from '../support/local.ts';
import { type Program, eventually } from '../support/program.ts';

/** Minutes long, so it runs only by `npm run test:sleep-kills`. */
const isWanted = process.env['COMPUTE_LOCAL_SLEEP_KILLS'] !== undefined;

const last = (program: Program): string | undefined =>
  /"event":"([a-z-]+)"[^\n]*\n$/.exec(program.stdout())?.[1];
const count = 'insert into counted values (default) returning n';

test.runIf(isWanted)(
  'kill -9 of every process asleep, while it falls asleep and while it wakes loses nothing',
  { timeout: 1_200_000 },
  async () => {
    const rig = localRig();
    const args = ['--suspend-after', '500ms'];
    let { program, to } = await rig.upAndReady(args);
    try {
      await queryLocal(to, 'create table counted (n serial)');
      for (const phase of ['asleep', 'suspending', 'waking'] as const)
        for (const what of ['up', 'storage', 'compute_ctl', 'postgres'] as const)
          for (const delayMs of [0, 20, 80, 200, 400]) {
            const point = `${phase} + ${delayMs} ms: ${what}`;
            const [{ n: written } = {}] = await queryLocal(to, count);
            const wanted = phase === 'suspending' ? ['suspending', 'asleep'] : ['asleep'];
            await eventually(point, () => wanted.includes(last(program) ?? '') || undefined, 60_000);
            const waking = phase === 'waking' ? queryLocal(to, 'select 1').catch(() => []) : null;
            await new Promise((resolve) => setTimeout(resolve, delayMs));
            if (what === 'up') {
              program.kill('SIGKILL');
              await program.exited();
              ({ program, to } = await rig.upAndReady(args));
            } else killOf(rig, what);
            await waking;
            const found = await eventually(
              point,
              async () => (await queryLocal(to, 'select max(n) as n from counted').catch(() => []))[0],
              60_000,
            );
            const isLost = Number(found['n']) < Number(written);
            expect({ point, isLost }).toEqual({ point, isLost: false });
          }
      program.kill('SIGTERM');
      expect(await program.exited(60_000)).toBe(0);
      expect(processesIn(rig.dir)).toEqual([]);
    } catch (error) {
      const log = readFileSync(join(rig.dir, 'log/compute_ctl.log'), 'utf8');
      const said = [program.output(), log].map((text) => text.slice(-5000)).join('\n--- log\n');
      throw new Error(said, { cause: error });
    } finally {
      await rig.clean();
    }
  },
);
