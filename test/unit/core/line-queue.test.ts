import { expect, test } from 'vitest';
import { LineQueue } from '../../../src/core/line-queue.ts';

const notice = (count: number): string => `${count} lines are missing`;

test('the oldest lines are dropped, counted, and told once', () => {
  const queue = new LineQueue(12);
  for (const line of ['one', 'two', 'three', 'four']) queue.add(line);
  expect(queue.dropped).toBe(2);
  expect(queue.take(notice)).toBe('2 lines are missing\nthree\nfour\n');
  queue.add('five');
  expect(queue.take(notice)).toBe('five\n');
});

test('the notice is told which line follows it', () => {
  const queue = new LineQueue(9);
  for (const line of ['one', 'two', 'three']) queue.add(line);
  expect(queue.take((count, next) => `${count} before ${next}`)).toBe('2 before three\nthree\n');
});

test('lines that could not be written are counted, without the notice among them, which is given again', () => {
  const queue = new LineQueue(100);
  for (const [at, line] of ['one', 'two', 'three'].entries()) {
    queue.add(line);
    const lines = queue.take(notice).split('\n').length - 1;
    expect(lines).toBe(at === 0 ? 1 : 2);
    queue.drop(lines);
    queue.clear();
    expect(queue.dropped).toBe(at + 1);
  }
  queue.add('four');
  expect(queue.take(notice)).toBe('3 lines are missing\nfour\n');
});
