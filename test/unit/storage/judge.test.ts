import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Lsn, formatLsn, parseLsn } from '../../../src/core/lsn.ts';
import {
  type Answer,
  flushedByQuorum,
  judge,
  outlookOf,
  quorum,
  settled,
} from '../../../src/storage/judge.ts';

/** `flush/commit` of letters that grow (0 < W < X < Y), `?` unknown timeline, `-` failed, `!` failed for
 *  good, `t` for want of TLS, `~` late, `.` not answered yet. */
const lsns: Record<string, Lsn> = { 0: 0n as Lsn, W: lsn('0/1'), X: lsn('0/169B1D8'), Y: lsn('0/169B2A0') };

function lsn(text: string): Lsn {
  return parseLsn(text) as Lsn;
}

function answer(word: string): Answer {
  if (word === '?') return { kind: 'unknown' };
  if (word === '-') return { kind: 'failed', reason: 'down' };
  if (word === '!') return { kind: 'failed', reason: 'refused', lasting: 'always' };
  if (word === 't') return { kind: 'failed', reason: 'TLS', lasting: 'without-tls' };
  if (word === '~') return { kind: 'failed', reason: 'late', late: true };
  const [flush = '', commit = ''] = word.split('/');
  return { kind: 'known', flush: lsns[flush] as Lsn, commit: lsns[commit] as Lsn };
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

test.each([
  // [answers, synced at, or part of the reason]
  ['X/X X/X X/X', 'X'],
  ['- X/X X/X', 'X'],
  ['X/X - -', 'know the timeline'],
  ['Y/X X/X X/X', 'commit 0/169B1D8 differs from flush 0/169B2A0'],
  ['Y/X Y/X X/X', 'commit 0/169B1D8 differs'],
  ['Y/Y X/X X/X', 'flush differs'],
  ['Y/Y X/X -', 'flush differs'],
  ['X/X ? X/X', 'X'],
  ['X/X ? -', 'know the timeline'],
  ['? ? ?', '0 of 3 safekeepers know the timeline, 3 do not'],
  ['- - -', 'down; down; down'],
  ['0/0 0/0 0/0', '0'],
  ['0/0 0/0 -', '0'],
  ['X/X', 'X'],
  ['?', 'know the timeline'],
  ['X/X -', '2 are needed'],
  ['X/X X/X', 'X'],
  ['X/X X/X - -', '3 are needed'],
  ['X/X X/X X/X -', 'X'],
  ['X/X X/X W/W', 'X'],
  ['X/X X/X W/0', 'X'],
  ['X/X X/W X/X', 'commit 0/1 differs from flush 0/169B1D8'],
  ['X/X X/X W/Y', 'commit 0/169B2A0 differs'],
  ['X/X X/X X/X W/W ?', 'X'],
  ['X/X X/X W/W W/W ?', 'flush differs'],
])('%s: %s, in whatever order they answer', (words, expected) => {
  const answers = words.split(' ').map(answer);
  for (const order of permutations(answers)) {
    const verdict = judge(order, answers.length);
    const [said, meant] =
      'synced' in verdict ? [verdict.synced, lsns[expected]] : [verdict.unknown.includes(expected), true];
    expect(said).toBe(meant);
  }
});

test.each([
  ['X/X X/X', 3, false], // the third may have more
  ['- -', 3, true],
  ['- ?', 3, true],
  ['-', 3, false],
  ['Y/X', 3, false], // the other two may be ahead of it
  ['Y/X X/X', 3, true],
  ['X/X Y/Y', 3, false],
  ['- - X/X', 5, false],
  ['- - ?', 5, true],
  ['X/X X/X X/X', 3, true],
])('after %s of %i the outcome is final: %s', (words, members, expected) => {
  expect(settled(words.split(' ').map(answer), members)).toBe(expected);
});

const anyAnswer = fc
  .tuple(
    fc.constantFrom('known', 'known', 'known', 'unknown', 'failed'),
    fc.constantFrom('W', 'X', 'Y'),
    fc.constantFrom('W', 'X', 'Y'),
  )
  .map(([kind, flush, commit]) =>
    answer(kind === 'known' ? `${flush}/${commit}` : kind === 'unknown' ? '?' : '-'),
  );

test('stopping early never hides a sync, and a verdict never names an LSN that somebody exceeds', () => {
  fc.assert(
    fc.property(fc.array(anyAnswer, { minLength: 1, maxLength: 6 }), (answers) => {
      const members = answers.length;
      const verdict = judge(answers, members);
      const final = answers.findIndex((_, count) => settled(answers.slice(0, count), members));
      expect(final !== -1 && 'synced' in verdict).toBe(false);
      const synced = 'synced' in verdict ? verdict.synced : 1n << 64n;
      const known = answers.filter((one) => one.kind === 'known');
      expect(known.filter(({ flush }) => flush > synced).map(({ flush }) => formatLsn(flush))).toEqual([]);
      const agreeing = known.filter(({ flush, commit }) => flush === synced && commit === synced).length;
      expect('synced' in verdict).toBe(agreeing >= quorum(members));
    }),
  );
});

test.each([
  ['!', 'lasting'],
  ['! ! X/X', 'lasting'],
  // One that refuses is outvoted, once the others are there.
  ['! - X/X', 'unreachable'],
  ['! - -', 'unreachable'],
  ['! ~ X/X', 'late'],
  ['t', 'without-tls'],
  ['t ! X/X', 'without-tls'],
  ['t - X/X', 'unreachable'],
  ['?', 'no-timeline'],
  ['? ? X/X', 'no-timeline'],
  ['? ! X/X', 'no-timeline'],
  ['? - X/X', 'unreachable'],
  ['? ~ X/X', 'late'],
  ['~', 'late'],
  ['~ - X/X', 'late'],
  ['~ - -', 'unreachable'],
  ['- - X/X', 'unreachable'],
  ['Y/X X/X -', 'differs'],
  ['Y/X X/X ~', 'differs'],
  ['! ! ! X/X X/X', 'lasting'],
  ['! ! ~ X/X X/X', 'late'],
])('what may help after %s is told: %s', (words, expected) => {
  for (const order of permutations(words.split(' ').map(answer)))
    expect(outlookOf(order, order.length)).toBe(expected);
});

test.each([
  ['X/X', 'X'],
  ['Y/X X/X', 'X'],
  ['Y/X X/X W/W', 'X'],
  ['Y/X Y/X W/W', 'Y'],
  ['Y/X - W/W', 'W'],
  ['Y/X - ?', null],
  ['!', null],
])('after %s a quorum has the WAL until %s', (words, expected) => {
  for (const order of permutations(words.split(' ').map(answer)))
    expect(flushedByQuorum(order, order.length)).toBe(expected === null ? null : lsns[expected]);
});
