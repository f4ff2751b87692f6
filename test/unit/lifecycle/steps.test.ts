import { pino } from 'pino';
import { expect, test } from 'vitest';
import { runSteps, step, together } from '../../../src/lifecycle/steps.ts';

const options = (signal = new AbortController().signal) => {
  const timed: string[] = [];
  return { timed, log: pino({ enabled: false }), signal, onStep: (name: string) => void timed.push(name) };
};

test('steps run in order, each timed', async () => {
  const said: string[] = [];
  const run = options();
  await runSteps([step('one', () => void said.push('1')), step('two', () => void said.push('2'))], {}, run);
  expect([said, run.timed]).toEqual([
    ['1', '2'],
    ['one', 'two'],
  ]);
});

test('a failure rolls back what was done, last first, and the failing step too', async () => {
  const undone: string[] = [];
  const fail = (): void => {
    throw new Error('no');
  };
  const steps = [
    step(
      'one',
      () => {},
      () => void undone.push('one'),
    ),
    step(
      'two',
      () => {},
      () => void undone.push('two'),
    ),
    step('three', fail, () => void undone.push('three')),
    step(
      'four',
      () => {},
      () => void undone.push('four'),
    ),
  ];
  await expect(runSteps(steps, {}, options())).rejects.toThrow('no');
  expect(undone).toEqual(['three', 'two', 'one']);
});

test('steps told together start at once, and the first failure aborts the others before the run ends', async () => {
  let aborted = false;
  const waits = step(
    'waits',
    (_: object, signal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(new Error('aborted'));
        });
      }),
  );
  const fails = step('fails', () => Promise.reject(new Error('first')));
  await expect(runSteps([together(waits, fails)], {}, options())).rejects.toThrow('first');
  expect(aborted).toBe(true);
});

test('an abort between two steps ends the run', async () => {
  const control = new AbortController();
  const never = step('never', () => expect.unreachable());
  const steps = [step('aborts', () => control.abort(new Error('stopped'))), never];
  await expect(runSteps(steps, {}, options(control.signal))).rejects.toThrow('stopped');
});
