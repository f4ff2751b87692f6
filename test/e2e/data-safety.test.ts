import fc from 'fast-check';
import { test } from 'vitest';
import { DataSafetyModel } from '../support/data-safety-model.ts';
import { anAction } from '../support/data-safety-actions.ts';

/** More runs, each from another seed: COMPUTE_LOCAL_PROPERTY_RUNS=50 npm run test:data-safety. One that failed again: with
 *  COMPUTE_LOCAL_PROPERTY_SEED and COMPUTE_LOCAL_PROPERTY_PATH of its message. */
const { env } = process;
const runs = Number(env['COMPUTE_LOCAL_PROPERTY_RUNS'] ?? 0);
const [seed, path] = [env['COMPUTE_LOCAL_PROPERTY_SEED'], env['COMPUTE_LOCAL_PROPERTY_PATH']];
const inCi = { numRuns: 4, seed: 14 };
const given = {
  ...(seed === undefined ? {} : { seed: Number(seed) }),
  ...(path === undefined ? {} : { path }),
  numRuns: Math.max(1, runs),
};
const chosen = runs > 0 || seed !== undefined ? given : inCi;

test(
  'whatever is started, stopped, promoted, reset and killed: no acknowledged row and nothing of somebody else is lost',
  async () => {
    const property = fc.asyncProperty(
      fc.array(anAction, { minLength: 6, maxLength: 10 }),
      async (actions) => {
        const model = new DataSafetyModel();
        try {
          await model.run({ do: 'up' });
          await model.run({ do: 'write' });
          for (const one of actions) await model.run(one);
          for (const one of ['up', 'stop', 'reset'] as const) await model.run({ do: one });
          if (runs > 0) process.stdout.write(`${model.summary()}\n`);
        } catch (error) {
          throw new Error(`after ${model.summary()}`, { cause: error });
        } finally {
          await model.clean();
        }
      },
    );
    await fc.assert(property, { ...chosen, endOnFailure: true });
  },
  400_000 * chosen.numRuns,
);
