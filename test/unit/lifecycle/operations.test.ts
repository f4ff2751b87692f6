import { pino } from 'pino';
import { expect, test } from 'vitest';
import { explain } from '../../../src/core/failure.ts';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { type OperationSteps, Operations } from '../../../src/lifecycle/operations.ts';
import { readiness, startup } from '../../../src/lifecycle/probes.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { type Step, failedStep, step } from '../../../src/lifecycle/steps.ts';
import { idleFileCache } from '../../support/file-cache.ts';
import { ServiceRunner } from '../../../src/services/runner.ts';
import { type Service, type ServiceDeps, type Stage, healthNow } from '../../../src/services/service.ts';
import type { Settings } from '../../../src/services/settings.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';
import { eventually } from '../../support/program.ts';

const { signal } = new AbortController();
const log = pino({ level: 'silent' });
const settings = {} as Settings;
const spec = (kind: 'replica' | 'primary' = 'replica'): ResolvedSpec =>
  ({ tenantId: 't', timelineId: 'l', mode: { kind } }) as ResolvedSpec;

/** A compute whose steps only say that they run. */
function subject(steps: Partial<OperationSteps> = {}) {
  const said: string[] = [];
  const saying = (name: string): Step<unknown> => step(name, () => void said.push(name));
  const service = (name: string, when: Stage): Service<true> => ({
    name,
    when,
    wants: () => true,
    start: () => {
      said.push(`${name} starts`);
      return Promise.resolve({
        health: healthNow('ok'),
        reconfigure: () => Promise.resolve(),
        stop: () => Promise.resolve(void said.push(`${name} stops`)),
      });
    },
  });
  const failpoints = new Failpoints();
  const services = new ServiceRunner(
    [
      service('before', 'before-postgres'),
      service('beside', 'beside-postgres'),
      service('after', 'after-ready'),
    ],
    { settings, log, failpoints } as ServiceDeps,
  );
  const state = new ComputeState(spec());
  state.lifecycle.tryMove('init');
  const operations = new Operations(
    { settings, state, log, services, failpoints, lfc: idleFileCache() },
    {
      start: [saying('start')],
      reconfigure: [saying('reconfigure')],
      promote: [saying('promote')],
      ...steps,
    },
  );
  return { said, state, operations };
}

test('a start runs its steps between the services beside Postgres and those after, and the compute runs', async () => {
  const { said, state, operations } = subject();
  await operations.start(signal);
  expect(said).toEqual(['beside starts', 'start', 'after starts']);
  expect(state.lifecycle.status).toBe('running');
});

test('services end in the reverse order of their start, those beside Postgres last', async () => {
  const { said, operations } = subject();
  await operations.start(signal);
  said.length = 0;
  await operations.shutDown(true, signal);
  expect(said).toEqual(['after stops', 'beside stops']);
});

test('after a failed start what was beside Postgres ends, too, which looks for core dumps', async () => {
  const fails = step('fails', () => Promise.reject(new Error('Postgres crashed')));
  const { said, state, operations } = subject({ start: [fails] });
  await expect(operations.start(signal)).rejects.toThrow('Postgres crashed');
  await operations.shutDown(false, signal);
  expect(said).toEqual(['beside starts', 'beside stops']);
  expect(state.lifecycle.status).toBe('init');
});

test('the probes name the steps that a start is at, and then the one that it failed at', async () => {
  let fail: (error: Error) => void = () => {};
  const fetching = new Promise<void>((_, reject) => (fail = reject));
  const wait = step('sync-safekeepers', (_, aborted) => {
    return new Promise<void>((_, reject) =>
      aborted.addEventListener('abort', () => reject(new Error('cut'))),
    );
  });
  const { state, operations } = subject({
    start: [step('write-config', () => {}), [step('fetch-base-backup', () => fetching), wait]],
  });
  const starting = operations.start(signal);
  await eventually('both steps', () => state.steps.size === 2 || undefined);
  const at = 'the start is at the step fetch-base-backup, sync-safekeepers';
  expect(readiness(state)).toEqual({ ok: false, since: state.lifecycle.since, reason: at });
  expect(startup(state)).toEqual({ ok: false, since: state.lifecycle.since, reason: at });
  const error = new Error('postgresql://user:password@host');
  fail(error);
  await expect(starting).rejects.toThrow('password');
  state.lifecycle.tryMove('failed', explain(error, failedStep(error)));
  for (const probe of [readiness(state), startup(state)])
    expect(probe.reason).toBe('the start failed at the step fetch-base-backup: see error in GET /status');
});

test('a reconfiguration works on the spec in force, whoever put it there', async () => {
  const seen: unknown[] = [];
  const { state, operations } = subject({
    reconfigure: [step('look', (context) => void seen.push(context.spec))],
  });
  await operations.start(signal);
  const next = spec();
  state.spec = next;
  await operations.reconfigure();
  expect(seen).toEqual([next]);
});

test('without a start there is nothing to reconfigure and nothing to promote', async () => {
  const { operations } = subject();
  await expect(operations.reconfigure()).rejects.toThrow('no compute to reconfigure');
});
