import { expect, test } from 'vitest';
import { onScreen } from '../../../src/local/commands/watch.ts';

const [home, endOfLine, endOfScreen] = ['\u001B[H', '\u001B[K', '\u001B[J'];
const lines = (count: number): string =>
  Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join('');
/** As a terminal shows it. */
const shown = (text: string): string[] =>
  text.replaceAll(home, '').replaceAll(endOfLine, '').replaceAll(endOfScreen, '').split('\n');

test('a report that fits is shown whole, and what was longer before is overwritten', () => {
  const text = onScreen(lines(3), { rows: 10 });
  expect(shown(text)).toEqual(['line 1', 'line 2', 'line 3', '']);
  expect(text.startsWith(home)).toBe(true);
  expect(text).toContain(`line 2${endOfLine}\n`);
  expect(text.endsWith(endOfScreen)).toBe(true);
});

test('a report that has more lines than the screen says how many are left out, and does not scroll', () => {
  expect(shown(onScreen(lines(12), { rows: 5 }))).toEqual(['line 1', 'line 2', 'line 3', '… 9 more lines']);
});
