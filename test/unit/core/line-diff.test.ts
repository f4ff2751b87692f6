import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineDiff, unified } from '../../../src/core/line-diff.ts';

const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 });

/** By the table of every beginning of both: slow, and surely the longest. */
function common(from: readonly string[], to: readonly string[]): number {
  let row = to.map(() => 0);
  for (const one of from) {
    const next: number[] = [];
    for (const [at, other] of to.entries())
      next.push(one === other ? (row[at - 1] ?? 0) + 1 : Math.max(row[at] ?? 0, next[at - 1] ?? 0));
    row = next;
  }
  return row.at(-1) ?? 0;
}

test('a diff leads from the one to the other, and leaves as many lines as it can', () => {
  fc.assert(
    fc.property(lines, lines, (from, to) => {
      const edits = lineDiff(from, to);
      const without = (kind: string): string[] =>
        edits.filter((edit) => edit.kind !== kind).map(({ line }) => line);
      expect([without('+'), without('-')]).toEqual([from, to]);
      expect(edits.filter(({ kind }) => kind === ' ').length).toBe(common(from, to));
    }),
  );
});

test('it is shown as diff -u shows it', () => {
  const from = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'];
  expect(unified(lineDiff(from, from))).toEqual([]);
  expect(unified(lineDiff(from, ['0', ...from.slice(0, 10), '12']))).toEqual([
    ...['@@ -1,3 +1,4 @@', '+0', ' 1', ' 2', ' 3'],
    ...['@@ -8,5 +9,4 @@', ' 8', ' 9', ' 10', '-11', ' 12'],
  ]);
  expect(unified(lineDiff([], ['x']))).toEqual(['@@ -0,0 +1,1 @@', '+x']);
});

test('texts with nothing in common are replaced as a whole', () => {
  const from = Array.from({ length: 3000 }, (_, at) => `a${at}`);
  const to = Array.from({ length: 3000 }, (_, at) => `b${at}`);
  expect(lineDiff(from, to).map(({ kind }) => kind)).toEqual([...from.map(() => '-'), ...to.map(() => '+')]);
});
