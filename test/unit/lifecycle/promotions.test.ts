import { noLsn } from '../../../src/core/lsn.ts';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { SpecAcceptance } from '../../../src/lifecycle/accept-spec.ts';
import { type PromotionRequest, Promotions } from '../../../src/lifecycle/promotions.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';

const { signal } = new AbortController();
const spec = (kind: 'replica' | 'primary'): ResolvedSpec =>
  ({ tenantId: 't', timelineId: 'l', mode: { kind } }) as ResolvedSpec;

function subject(outcomes: ((request: PromotionRequest) => Promise<void>)[]) {
  const state = new ComputeState(spec('replica'));
  for (const status of ['init', 'running'] as const) state.lifecycle.tryMove(status);
  const requests: PromotionRequest[] = [];
  const specs = new SpecAcceptance({ state, validate: () => {}, rotateKeys: () => Promise.resolve() });
  const promotions = new Promotions({
    state,
    specs,
    log: pino({ level: 'silent' }),
    promote: async (request) => {
      requests.push(request);
      await outcomes.shift()?.(request);
      return new Map();
    },
  });
  return { state, requests, promotions };
}

const fails = (): Promise<void> => Promise.reject(new Error('no'));

test('a second promotion uses the spec of the replica that is in force by then', async () => {
  const it = subject([fails]);
  await it.promotions.promote(spec('primary'), noLsn, signal);
  const newer = spec('replica');
  it.state.spec = newer;
  expect(await it.promotions.promote(spec('primary'), noLsn, signal)).toMatchObject({ status: 'completed' });
  expect(it.requests[1]?.replica).toBe(newer);
});

test('a promotion that failed after its spec came into force can be repeated, back from the replica it was', async () => {
  const late = async ({ acceptSpec }: PromotionRequest): Promise<void> => {
    await acceptSpec();
    throw new Error('too late');
  };
  const it = subject([late]);
  const replica = it.state.spec;
  expect(await it.promotions.promote(spec('primary'), noLsn, signal)).toMatchObject({ status: 'failed' });
  expect(it.state.spec?.mode.kind).toBe('primary');
  expect(await it.promotions.promote(spec('primary'), noLsn, signal)).toMatchObject({ status: 'completed' });
  expect(it.requests[1]?.replica).toBe(replica);
});

test('a refused spec does not start a promotion', async () => {
  const it = subject([]);
  const other = { ...spec('primary'), timelineId: 'other' };
  await expect(it.promotions.promote(other, noLsn, signal)).rejects.toThrow('timeline id');
  expect(it.requests).toEqual([]);
});

test('whoever asks while a promotion runs, or after it, gets the same answer', async () => {
  const it = subject([]);
  const answers = await Promise.all(
    [1, 2, 3].map(() => it.promotions.promote(spec('primary'), noLsn, signal)),
  );
  expect(new Set(answers).size).toBe(1);
  expect(await it.promotions.promote(spec('primary'), noLsn, signal)).toBe(answers[0]);
  expect(it.requests).toHaveLength(1);
});

test('a primary is not promoted', async () => {
  const it = subject([]);
  it.state.spec = spec('primary');
  expect(await it.promotions.promote(spec('primary'), noLsn, signal)).toEqual({
    status: 'failed',
    error: 'compute mode "primary" is not replica',
  });
});
