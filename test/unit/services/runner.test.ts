import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { inBackground } from '../../../src/services/forms.ts';
import { ServiceRunner } from '../../../src/services/runner.ts';
import {
  type RunningService,
  type Service,
  type ServiceDeps,
  healthNow,
} from '../../../src/services/service.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';
import { eventually } from '../../support/program.ts';

const { signal } = new AbortController();

/** A spec is here only what the services of the test look at. */
const spec = (wanted: number | null): ResolvedSpec => ({ wanted }) as unknown as ResolvedSpec;

function rig() {
  const said: string[] = [];
  const lines: string[] = [];
  const log = pino({ level: 'debug', base: null }, { write: (line: string) => void lines.push(line) });
  const deps = { log, settings: {}, failpoints: new Failpoints() } as unknown as ServiceDeps;
  const service = (name: string, more: Partial<Service<number>> = {}): Service<number> => ({
    name,
    when: 'after-ready',
    wants: (given) => (given as unknown as { wanted: number | null }).wanted,
    start: (wanted) => {
      said.push(`${name} starts with ${wanted}`);
      return Promise.resolve<RunningService<number>>({
        health: healthNow('ok'),
        reconfigure: (next) => Promise.resolve(void said.push(`${name} hears ${next}`)),
        stop: () => Promise.resolve(void said.push(`${name} stops`)),
      });
    },
    ...more,
  });
  return { said, lines, deps, service };
}

test('a service follows the spec: it starts, hears of changes, and stops when nothing is asked of it', async () => {
  const { said, deps, service } = rig();
  const runner = new ServiceRunner([service('a')], deps);
  await runner.bring('after-ready', spec(null), signal);
  await runner.reconfigure(spec(1), signal);
  await runner.reconfigure(spec(2), signal);
  await runner.reconfigure(spec(null), signal);
  expect(said).toEqual(['a starts with 1', 'a hears 2', 'a stops']);
  expect(runner.health()).toEqual({});
});

test('what an earlier process has left goes once, and only where the service is not wanted at the start', async () => {
  const { said, lines, deps, service } = rig();
  const cleanUp = (name: string) => ({ cleanUp: () => Promise.resolve(void said.push(`${name} cleans up`)) });
  const fails = { cleanUp: () => Promise.reject(new Error('not mine')), wants: () => null };
  const runner = new ServiceRunner(
    [
      service('a', cleanUp('a')),
      service('b', fails),
      service('c', { when: 'with-process', ...cleanUp('c') }),
    ],
    deps,
  );
  await runner.bring('with-process', null, signal);
  await runner.bring('after-ready', spec(null), signal);
  await runner.reconfigure(spec(1), signal);
  await runner.reconfigure(spec(null), signal);
  expect(said).toEqual(['a cleans up', 'a starts with 1', 'c starts with 1', 'a stops', 'c stops']);
  expect(lines.join('')).toContain('could not remove what is left of b: not mine');
});

test('what is decided once is not asked again', async () => {
  const { said, deps, service } = rig();
  const services = [
    service('once', { once: true }),
    service('before', { when: 'before-postgres', once: true }),
  ];
  const runner = new ServiceRunner(services, deps);
  for (const stage of ['before-postgres', 'after-ready'] as const) await runner.bring(stage, spec(1), signal);
  await runner.reconfigure(spec(2), signal);
  expect(said).toEqual(['before starts with 1', 'once starts with 1']);
});

test('services of a stage end in reverse order', async () => {
  const { said, deps, service } = rig();
  const runner = new ServiceRunner(
    [service('a'), service('b'), service('c', { when: 'beside-postgres' })],
    deps,
  );
  for (const stage of ['beside-postgres', 'after-ready'] as const) await runner.bring(stage, spec(1), signal);
  said.length = 0;
  await runner.stop('after-ready', signal);
  expect(said).toEqual(['b stops', 'a stops']);
});

test('a service may end with the compute in another way than when it is not wanted any more', async () => {
  const { said, deps } = rig();
  const running = {
    health: healthNow('ok'),
    reconfigure: async () => {},
    stop: async () => void said.push('stop'),
    end: async () => void said.push('end'),
  };
  const two: Service<number> = {
    name: 'two',
    when: 'after-ready',
    wants: (given) => (given as unknown as { wanted: number | null }).wanted,
    start: async () => running,
  };
  const runner = new ServiceRunner([two], deps);
  await runner.bring('after-ready', spec(1), signal);
  await runner.reconfigure(spec(null), signal);
  await runner.reconfigure(spec(1), signal);
  await runner.stop('after-ready', signal);
  expect(said).toEqual(['stop', 'end']);
});

test('a service that fails or hangs at its start does not end the compute, and says so', async () => {
  const { deps, service } = rig();
  const hangs = (): Promise<never> => new Promise(() => {});
  const runner = new ServiceRunner(
    [
      service('fails', { start: () => Promise.reject(new Error('no room')) }),
      service('hangs', { start: hangs, startLimitMs: 20 }),
      service('works'),
    ],
    deps,
  );
  await runner.bring('after-ready', spec(1), signal);
  expect(runner.health()).toMatchObject({
    fails: { state: 'failed', error: 'no room' },
    hangs: { state: 'failed', error: 'the start of hangs took longer than 20 ms' },
    works: { state: 'ok', error: null },
  });
});

test('a required service that fails fails the start', async () => {
  const { deps, service } = rig();
  const start = (): Promise<never> => Promise.reject(new Error('no swap'));
  const runner = new ServiceRunner([service('swap', { required: true, start })], deps);
  await expect(runner.bring('after-ready', spec(1), signal)).rejects.toThrow('no swap');
});

test('a service that does not end holds nobody up for longer than its limit', async () => {
  const { lines, deps, service } = rig();
  const start = (): Promise<RunningService<number>> =>
    Promise.resolve({
      health: healthNow('ok'),
      reconfigure: () => Promise.resolve(),
      stop: () => new Promise(() => {}),
    });
  const runner = new ServiceRunner([service('stuck', { start, stopLimitMs: 20 })], deps);
  await runner.bring('after-ready', spec(1), signal);
  await runner.stop('after-ready', signal);
  expect(lines.join('')).toContain('could not stop stuck');
});

test('work in the background shows its failure in the health, with the moment it came', async () => {
  const { deps, service } = rig();
  const start = (): Promise<RunningService<number>> =>
    Promise.resolve(inBackground(deps, { name: 'loop', work: () => Promise.reject(new Error('broke')) }));
  const runner = new ServiceRunner([service('loop', { start, showsError: true })], deps);
  await runner.bring('after-ready', spec(1), signal);
  await eventually('the failure', () => (runner.health()['loop']?.state === 'failed' ? true : undefined));
  expect(runner.error).toBe('broke');
});

test('with the process begins what needs no spec, and what a spec ends has ended before the start goes on', async () => {
  const { said, deps, service } = rig();
  const runner = new ServiceRunner(
    [service('warm-up', { when: 'with-process', wants: () => null, wantsWithoutSpec: () => 0 })],
    deps,
  );
  await runner.bring('with-process', null, signal);
  await runner.bring('with-process', spec(1), signal);
  expect(said).toEqual(['warm-up starts with 0', 'warm-up stops']);
});

test('a service that starts after its limit is stopped again, not left alone', async () => {
  const { said, deps, service } = rig();
  let start = (): void => {};
  const running: RunningService<number> = {
    health: healthNow('ok'),
    reconfigure: () => Promise.resolve(),
    stop: () => Promise.resolve(void said.push('late stops')),
  };
  const late = (): Promise<RunningService<number>> =>
    new Promise((resolve) => {
      start = () => resolve(running);
    });
  const runner = new ServiceRunner([service('late', { start: late, startLimitMs: 10 })], deps);
  await runner.bring('after-ready', spec(1), signal);
  start();
  await eventually('its stop', () => said.includes('late stops') || undefined);
});

test('a service does not start under a signal that has aborted', async () => {
  const { said, deps, service } = rig();
  const aborted = AbortSignal.abort(new Error('over'));
  const runner = new ServiceRunner([service('a')], deps);
  await expect(runner.bring('after-ready', spec(1), aborted)).rejects.toThrow('over');
  expect(said).toEqual([]);
});

test('an escalated stop is still awaited, and happens once', async () => {
  const { said, deps, service } = rig();
  const slowly = service('slow', {
    start: () =>
      Promise.resolve({
        health: healthNow('ok'),
        reconfigure: () => Promise.resolve(),
        stop: async () => {
          said.push('stopping');
          await new Promise((resolve) => setTimeout(resolve, 50));
          said.push('stopped');
        },
      }),
  });
  const runner = new ServiceRunner([slowly], deps);
  await runner.bring('after-ready', spec(1), signal);
  const escalated = AbortSignal.abort(new Error('second signal'));
  await Promise.all([runner.stop('after-ready', escalated), runner.stop('after-ready', signal)]);
  expect(said).toEqual(['stopping', 'stopped']);
});
