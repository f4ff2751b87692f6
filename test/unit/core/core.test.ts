import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { withDeadline } from '../../../src/core/clock.ts';
import { ComputeError, inline, multiline } from '../../../src/core/errors.ts';
import { Lifecycle } from '../../../src/core/lifecycle.ts';
import { levelFromEnv } from '../../../src/core/log.ts';
import { formatLsn, parseLsn } from '../../../src/core/lsn.ts';
import { Secret } from '../../../src/core/secret.ts';
import { type Status, statuses, transitions } from '../../../src/core/status.ts';

const live = new AbortController().signal;

test.each([
  ['0/3C490F8', '0/3C490F8'],
  ['aaaa/bbbb', 'AAAA/BBBB'],
  [' 0/1\n', '0/1'],
  ['0000000000000001/0000000A', '1/A'],
  ['+1/+A', '1/A'],
  ['ffffffff/ffffffff', 'FFFFFFFF/FFFFFFFF'],
])('LSN %j reads as %s', (text, printed) => {
  const lsn = parseLsn(text);
  expect(lsn === null ? null : formatLsn(lsn)).toBe(printed);
});

test.each(['123456789/0', '0/AAAA55550', '1', '1/2/3', '/1', '1/', '', '0/ 1', '0x1/2', '-1/0', '1_0/0'])(
  'LSN %j is refused',
  (text) => expect(parseLsn(text)).toBeNull(),
);

test('a secret shows itself nowhere', () => {
  const secret = new Secret('hunter2');
  const shown = [
    `${secret}`,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ secret }),
    String(secret),
  ];
  expect(shown.join()).not.toContain('hunter2');
  expect(secret.reveal()).toBe('hunter2');
});

test('a chain of causes prints on one line and, for the status, on several', () => {
  const error = new ComputeError('basebackup', 'outer', { cause: new Error('middle', { cause: 'root' }) });
  expect(inline(error)).toBe('outer: middle: root');
  expect(multiline(error)).toBe('outer\n\nCaused by:\n    0: middle\n    1: root');
  expect(multiline(new Error('outer', { cause: new Error('one') }))).toBe('outer\n\nCaused by:\n    one');
});

test('a cause that points back at itself does not loop', () => {
  const error = new Error('round');
  error.cause = error;
  expect(inline(error)).toBe('round');
});

test('a deadline names what was waited for, even when the work ignores its signal', async () => {
  const never = new Promise<void>(() => {});
  await expect(withDeadline('the answer', 5, live, () => never)).rejects.toThrow(
    'the answer took longer than 5 ms',
  );
});

test('an outer abort is not mistaken for a deadline', async () => {
  const control = new AbortController();
  const waiting = withDeadline('x', 10_000, control.signal, () => new Promise<void>(() => {}));
  control.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});

test('only the moves of the table are possible', () => {
  const statusOf = (path: Status[]): Lifecycle => {
    const lifecycle = new Lifecycle();
    for (const to of path) expect(lifecycle.tryMove(to)).toBe(true);
    return lifecycle;
  };
  const ways: Record<Status, Status[]> = {
    empty: [],
    configuration_pending: ['configuration_pending'],
    init: ['init'],
    running: ['init', 'running'],
    configuration: ['configuration_pending', 'configuration'],
    failed: ['init', 'failed'],
    refresh_configuration_pending: ['init', 'running', 'refresh_configuration_pending'],
    refresh_configuration: ['init', 'running', 'refresh_configuration_pending', 'refresh_configuration'],
    termination_pending_fast: ['termination_pending_fast'],
    termination_pending_immediate: ['termination_pending_immediate'],
    terminated: ['termination_pending_fast', 'terminated'],
  };
  for (const from of statuses) {
    for (const to of statuses) {
      const allowed = (transitions[from] as readonly Status[]).includes(to);
      expect([from, to, statusOf(ways[from]).tryMove(to)]).toEqual([from, to, allowed]);
    }
  }
});

test('a waiter hears of the status it waits for, and an abort ends its wait', async () => {
  const lifecycle = new Lifecycle();
  const waiting = lifecycle.reached(['running', 'failed'], live);
  lifecycle.move('empty', 'init');
  lifecycle.move('init', 'failed', 'why');
  expect(await waiting).toBe('failed');
  expect(lifecycle.error).toBe('why');
  const control = new AbortController();
  const endless = lifecycle.reached(['running'], control.signal);
  control.abort(new Error('left'));
  await expect(endless).rejects.toThrow('left');
  expect(lifecycle.changed.listenerCount('status')).toBe(0);
});

test('the reason of a failure is gone after the next success', () => {
  const lifecycle = new Lifecycle();
  for (const to of ['init', 'failed', 'configuration_pending', 'configuration', 'running'] as const) {
    lifecycle.tryMove(to, 'why');
  }
  expect(lifecycle.error).toBeNull();
});

test.each([
  [undefined, 'info'],
  ['debug', 'debug'],
  ['compute_ctl=trace,info', 'trace'],
  ['hyper=debug', 'info'],
  ['off', 'silent'],
  ['nonsense', 'info'],
])('log level %j means %s', (value, level) => expect(levelFromEnv(value)).toBe(level));
