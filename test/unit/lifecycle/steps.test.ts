import { pino } from 'pino';
import { expect, test } from 'vitest';
import { step, tell, together } from '../../../src/lifecycle/steps.ts';

const telling = (signal = new AbortController().signal) => {
  const timed: string[] = [];
  return { timed, log: pino({ enabled: false }), signal, onStep: (name: string) => void timed.push(name) };
};

test('a story runs its steps in order and times each', async () => {
  const said: string[] = [];
  const told = telling();
  await tell([step('one', () => void said.push('1')), step('two', () => void said.push('2'))], {}, told);
  expect([said, told.timed]).toEqual([
    ['1', '2'],
    ['one', 'two'],
  ]);
});

test('a failure takes back what was done, last first, and the failing step too', async () => {
  const undone: string[] = [];
  const fail = (): void => {
    throw new Error('no');
  };
  const story = [
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
  await expect(tell(story, {}, telling())).rejects.toThrow('no');
  expect(undone).toEqual(['three', 'two', 'one']);
});

test('steps told together start at once, and the first failure aborts the others before the story ends', async () => {
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
  await expect(tell([together(waits, fails)], {}, telling())).rejects.toThrow('first');
  expect(aborted).toBe(true);
});

test('an abort between two steps ends the story', async () => {
  const control = new AbortController();
  const never = step('never', () => expect.unreachable());
  const story = [step('aborts', () => control.abort(new Error('stopped'))), never];
  await expect(tell(story, {}, telling(control.signal))).rejects.toThrow('stopped');
});
