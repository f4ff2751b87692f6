import { expect, test } from 'vitest';
import { onScreen } from '../../../src/local/commands/watch.ts';

const [home, endOfLine, endOfScreen] = ['\u001B[H', '\u001B[K', '\u001B[J'];
const lines = (count: number): string =>
  Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join('');
/** As a terminal shows it. */
const shown = (text: string): string[] =>
  text.replaceAll(home, '').replaceAll(endOfLine, '').replaceAll(endOfScreen, '').split('\n');

test('a report that fits is shown whole, and what was longer before is overwritten', () => {
  const text = onScreen(lines(3), { rows: 10, columns: 80 });
  expect(shown(text)).toEqual(['line 1', 'line 2', 'line 3', '']);
  expect(text.startsWith(home)).toBe(true);
  expect(text).toContain(`line 2${endOfLine}\n`);
  expect(text.endsWith(endOfScreen)).toBe(true);
});

test('a report that has more lines than the screen says how many are left out, and does not scroll', () => {
  expect(shown(onScreen(lines(12), { rows: 5, columns: 80 }))).toEqual([
    'line 1',
    'line 2',
    'line 3',
    '… 9 more lines',
  ]);
});

test('a line that is longer than the screen is wide is cut, so that it takes one row; colours take no room', () => {
  const [red, normal] = ['\u001B[31m', '\u001B[0m'];
  const text = `${'x'.repeat(10)}\n${'y'.repeat(11)}\n${red}${'z'.repeat(12)}${normal}\n${red}${'é'.repeat(10)}${normal}\n`;
  expect(shown(onScreen(text, { rows: 9, columns: 10 }))).toEqual([
    'x'.repeat(10),
    `${'y'.repeat(9)}…`,
    `${red}${'z'.repeat(9)}${normal}…`,
    `${red}${'é'.repeat(10)}${normal}`,
    '',
  ]);
});
