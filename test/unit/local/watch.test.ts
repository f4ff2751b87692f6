import { expect, test } from 'vitest';
import { onScreen } from '../../../src/local/commands/watch.ts';

const lines = (count: number): string =>
  Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join('');
/** As a terminal shows it. */
const shown = (text: string): string[] => text.replaceAll(/\u001B\[(\?\d+)?[A-Z]/g, '').split('\n');

test('a report that fits is shown whole, and what was longer before is overwritten', () => {
  const text = onScreen(lines(3), { rows: 10 });
  expect(shown(text)).toEqual(['line 1', 'line 2', 'line 3', '']);
  expect(text).toMatch(/^\u001B\[H/);
  expect(text).toMatch(/line 2\u001B\[K\n/);
  expect(text).toMatch(/\u001B\[J$/);
});

test('a report that has more lines than the screen says how many are left out, and does not scroll', () => {
  expect(shown(onScreen(lines(12), { rows: 5 }))).toEqual(['line 1', 'line 2', 'line 3', '… 9 more lines']);
});
