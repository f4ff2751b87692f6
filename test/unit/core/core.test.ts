import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { sleep, withDeadline } from '../../../src/core/clock.ts';
import { ComputeError, inline, multiline, errorCodes } from '../../../src/core/errors.ts';
import { explain } from '../../../src/core/failure.ts';
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

/** Every status that can be reached from `from`, itself left out unless there is a way back. */
function reachable(from: Status): ReadonlySet<Status> {
  const found = new Set<Status>();
  const visit = (at: Status): void => {
    for (const to of transitions[at] as readonly Status[]) {
      if (found.has(to)) continue;
      found.add(to);
      visit(to);
    }
  };
  visit(from);
  return found;
}

const ends: readonly Status[] = ['termination_pending_fast', 'termination_pending_immediate', 'terminated'];
const living = statuses.filter((status) => !ends.includes(status));

test.each(living)(
  'from %s a compute can fail, be told to terminate in both ways, and be over, at once',
  (from) => {
    const ways: readonly Status[] = transitions[from];
    const needed: Status[] = from === 'failed' ? [...ends] : ['failed', ...ends];
    expect(needed.filter((to) => !ways.includes(to))).toEqual([]);
  },
);

test('every status can be reached from empty, and every living one leads to running again', () => {
  expect(statuses.filter((status) => status !== 'empty' && !reachable('empty').has(status))).toEqual([]);
  expect(living.filter((status) => !reachable(status).has('running'))).toEqual([]);
});

test('whoever is told to terminate can only be over', () => {
  expect([...reachable('termination_pending_fast')]).toEqual(['terminated']);
  expect([...reachable('termination_pending_immediate')]).toEqual(['terminated']);
  expect([...reachable('terminated')]).toEqual([]);
});

test('a move that the table does not have is refused, and changes nothing', () => {
  const lifecycle = new Lifecycle();
  expect(lifecycle.tryMove('running')).toBe(false);
  expect(lifecycle.status).toBe('empty');
});

test('a waiter hears of the status it waits for, and an abort ends its wait', async () => {
  const lifecycle = new Lifecycle();
  const waiting = lifecycle.reached(['running', 'failed'], live);
  lifecycle.move('empty', 'init');
  lifecycle.move('init', 'failed', explain(new Error('why')));
  expect(await waiting).toBe('failed');
  expect(lifecycle.error).toBe(`why\n\nHint: ${errorCodes.internal.act}\nCode: internal`);
  const control = new AbortController();
  const endless = lifecycle.reached(['running'], control.signal);
  control.abort(new Error('left'));
  await expect(endless).rejects.toThrow('left');
  expect(lifecycle.changed.listenerCount('status')).toBe(0);
});

test('the reason of a failure is gone after the next success', () => {
  const lifecycle = new Lifecycle();
  for (const to of ['init', 'failed', 'configuration_pending', 'configuration', 'running'] as const) {
    lifecycle.tryMove(to, explain(new Error('why')));
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

test('a pause that is longer than a timer can be does not end at once', async () => {
  const abort = new AbortController();
  const pauses = [2 ** 31, Infinity].map((ms) => sleep(ms, abort.signal));
  const first = Promise.race(pauses).then(
    () => 'over',
    () => 'aborted',
  );
  setTimeout(() => abort.abort(), 50);
  expect(await first).toBe('aborted');
});
