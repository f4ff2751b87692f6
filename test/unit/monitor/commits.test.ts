import { expect, test } from 'vitest';
import { CommitWatch } from '../../../src/monitor/commits.ts';

const row = (waiting: string[] = [], synchronous: number | null = 1) => ({
  waiting_commits: waiting.length === 0 ? null : waiting,
  synchronous,
});

test('one commit that waits for five seconds is stuck; a session that commits again and again is not', () => {
  const watch = new CommitWatch();
  for (let at = 0; at <= 10_000; at += 500) watch.take(row([`pid 7, transaction ${at}`]), at, at);
  expect(watch.stuck).toBeNull();
  for (let at = 10_500; at <= 15_000; at += 500) {
    watch.take(row(['the same']), at, at);
    expect(watch.stuck).toBeNull();
  }
  watch.take(row(['the same']), 15_500, 15_500);
  expect(watch.stuck).toEqual({ sinceWallMs: 10_500, reason: 'no_answer', waiting: 1 });
  watch.take(row(), 16_000, 16_000);
  expect(watch.stuck).toBeNull();
});

test('an application that gives up does not make commits return: our own commit decides', () => {
  const watch = new CommitWatch();
  watch.take(row(['a']), 0, 0);
  expect(watch.suspects(500)).toBe(false);
  expect(watch.suspects(1000)).toBe(true);
  watch.ownBegan(1000);
  watch.take(row(['a', 'own']), 5000, 5000);
  expect(watch.stuck).toMatchObject({ sinceWallMs: 0, waiting: 2 });
  watch.take(row(['own']), 5500, 5500);
  expect(watch.stuck).toMatchObject({ sinceWallMs: 0, waiting: 1 });
  watch.ownEnded();
  watch.take(row(), 6000, 6000);
  expect(watch.stuck).toBeNull();
});

test('without a synchronous standby commits are suspected also while nobody writes', () => {
  const watch = new CommitWatch();
  watch.take(row([], 0), 0, 0);
  expect(watch.suspects(1000)).toBe(true);
  watch.ownBegan(1000);
  watch.take(row([], 0), 6000, 6000);
  expect(watch.stuck).toEqual({ sinceWallMs: 1000, reason: 'not_connected', waiting: 0 });
});

test('where no synchronous standby is required nothing is suspected', () => {
  const watch = new CommitWatch();
  for (const at of [0, 5000, 10_000]) watch.take(row([], null), at, at);
  expect(watch.suspects(10_000)).toBe(false);
  expect(watch.stuck).toBeNull();
});

test('of a server that does not answer nothing is known', () => {
  const watch = new CommitWatch();
  watch.take(row(['a'], 0), 0, 0);
  watch.take(row(['a'], 0), 6000, 6000);
  expect(watch.stuck).not.toBeNull();
  watch.lost();
  expect(watch.stuck).toBeNull();
  expect(watch.suspects(7000)).toBe(false);
});
