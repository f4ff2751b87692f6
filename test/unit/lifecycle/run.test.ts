import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ComputeError, errorCodes } from '../../../src/core/errors.ts';
import { never } from '../../../src/core/abort.ts';
import { readiness, startup } from '../../../src/lifecycle/probes.ts';
import { type RunOptions, runCompute } from '../../../src/lifecycle/run.ts';
import type { Postgres } from '../../../src/postgres/postgres.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';

const someSpec = {} as ResolvedSpec;

function prepared(
  spec: ResolvedSpec | null,
  start: RunOptions['operations']['start'],
  waiting: { emptyCountsAsStarted?: boolean } = {},
) {
  const state = new ComputeState(spec, waiting);
  const statuses: string[] = [];
  state.lifecycle.changed.on('status', ({ to }) => statuses.push(to));
  const shutDowns: boolean[] = [];
  const options: RunOptions = {
    state,
    log: pino({ enabled: false }),
    operations: { start, shutDown: (served) => Promise.resolve(void shutDowns.push(served)) },
    stopTimeoutMs: 1000,
    exitGraceMs: 20,
  };
  return { state, statuses, shutDowns, ran: runCompute(options) };
}

const forever = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

test('a failed start keeps the reason readable, syncs nothing and exits non-zero', async () => {
  const cause = new Error('the disk is full');
  const { state, statuses, shutDowns, ran } = prepared(someSpec, () =>
    Promise.reject(new Error('no data directory', { cause })),
  );
  expect(await ran).toBe(1);
  expect(statuses).toEqual(['init', 'failed', 'terminated']);
  expect(state.status().error).toBe(
    `no data directory\n\nCaused by:\n    the disk is full\n\nHint: ${errorCodes.internal.act}\nCode: internal`,
  );
  expect(shutDowns).toEqual([false]);
});

test('core dumps are looked for after a failed start, too', async () => {
  const { shutDowns, ran } = prepared(someSpec, () => Promise.reject(new Error('Postgres crashed')));
  await ran;
  expect(shutDowns).toEqual([false]);
});

test('a defect stops the compute in order', async () => {
  const { state, statuses, ran } = prepared(someSpec, forever);
  state.stop.byDefect();
  await ran;
  expect(state.stop.defect).toBe(true);
  expect(statuses).toEqual(['init', 'termination_pending_fast', 'terminated']);
});

test('a start that fails with Postgres up stops it', async () => {
  const stops: string[] = [];
  const { state, ran } = prepared(someSpec, async () => {
    await Promise.resolve(); // `state` is there by then
    state.postgres = { stop: async (mode: string) => void stops.push(mode) } as unknown as Postgres;
    throw new Error('a service failed');
  });
  expect(await ran).toBe(1);
  expect(stops).toEqual(['immediate']);
});

test('a Postgres that cannot be stopped does not keep the rest from shutting down', async () => {
  const { state, shutDowns, ran } = prepared(someSpec, async () => {
    await Promise.resolve();
    const stuck = (): Promise<never> => Promise.reject(new ComputeError('postgres_stuck', 'still there'));
    state.postgres = { exited: new Promise(() => {}), stop: stuck } as unknown as Postgres;
  });
  state.stop.bySignal();
  await expect(ran).rejects.toMatchObject({ code: 'postgres_stuck' });
  expect(shutDowns).toEqual([false]);
});

test('a signal in the middle of a start ends it with code 0', async () => {
  const { state, statuses, ran } = prepared(someSpec, forever);
  state.stop.bySignal();
  expect(await ran).toBe(0);
  expect(statuses).toEqual(['init', 'termination_pending_fast', 'terminated']);
});

test('an empty compute that is told to terminate ends instead of waiting for a spec forever', async () => {
  const { state, statuses, ran } = prepared(null, forever);
  state.lifecycle.tryMove('termination_pending_immediate');
  state.stop.byHttp('immediate');
  expect(await ran).toBe(0);
  expect(statuses).toEqual(['termination_pending_immediate', 'terminated']);
});

test('a pushed first spec goes through configuration_pending and init', async () => {
  const { state, statuses, ran } = prepared(null, () => Promise.reject(new Error('enough')));
  state.spec = someSpec;
  state.lifecycle.tryMove('configuration_pending');
  await ran;
  expect(statuses.slice(0, 2)).toEqual(['configuration_pending', 'init']);
});

test('a compute that waits for its first spec is not started, unless it is told to count as started', async () => {
  for (const emptyCountsAsStarted of [false, true]) {
    const { state, ran } = prepared(null, forever, { emptyCountsAsStarted });
    const waiting = { ok: emptyCountsAsStarted, since: expect.any(Date) as Date };
    expect(startup(state)).toEqual({
      ...waiting,
      reason: emptyCountsAsStarted
        ? 'no spec yet, which counts as started (--empty-counts-as-started)'
        : 'no spec yet: waiting for POST /configure',
    });
    expect(readiness(state)).toMatchObject({ ok: false, reason: 'no spec yet: waiting for POST /configure' });
    state.lifecycle.tryMove('configuration_pending');
    await state.lifecycle.reached(['init'], never);
    // The orchestrator asks no more once it was told "started"; the answer does not go back either.
    expect(startup(state).ok).toBe(emptyCountsAsStarted);
    expect(readiness(state).ok).toBe(false);
    state.stop.bySignal();
    await ran;
    expect(startup(state).ok).toBe(emptyCountsAsStarted);
  }
});

test('a compute that has a spec at once is not started before it runs, whatever it is told', async () => {
  const { state, ran } = prepared(someSpec, forever, { emptyCountsAsStarted: true });
  expect(startup(state)).toEqual({ ok: false, since: state.lifecycle.since, reason: 'the start begins' });
  state.lifecycle.tryMove('running');
  expect(startup(state)).toEqual({ ok: true, since: state.lifecycle.startedAt, reason: null });
  state.stop.bySignal();
  await ran;
  expect(startup(state)).toEqual({ ok: true, since: state.lifecycle.startedAt, reason: null });
});
