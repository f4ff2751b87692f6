import { pino } from 'pino';
import { parse } from 'valibot';
import { expect, test } from 'vitest';
import type { LoadedConfig } from '../../../src/config/load.ts';
import { ComputeError, errorCodes } from '../../../src/core/errors.ts';
import { explain } from '../../../src/core/failure.ts';
import type { Status } from '../../../src/core/status.ts';
import { SpecAcceptance } from '../../../src/lifecycle/accept-spec.ts';
import { Refresh } from '../../../src/lifecycle/refresh.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { type ResolvedSpec, resolveSpec } from '../../../src/spec/resolve.ts';
import { computeSpecSchema } from '../../../src/spec/schema.ts';
import { eventually } from '../../support/program.ts';

const { signal } = new AbortController();

const spec = (changes: object = {}): ResolvedSpec =>
  resolveSpec(
    parse(computeSpecSchema, {
      format_version: 1,
      suspend_timeout_seconds: 0,
      tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
      timeline_id: '641e5342083b2235ee3deb8066819683',
      pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
      safekeeper_connstrings: ['127.0.0.1:2'],
      storage_auth_token: 'old',
      cluster: { roles: [], databases: [], settings: [] },
      ...changes,
    }),
  );

interface Subject {
  readonly refresh: Refresh;
  readonly state: ComputeState;
  readonly applied: ResolvedSpec[];
  readonly settled: () => Promise<Status>;
  load: () => Promise<ResolvedSpec | null>;
  apply: () => Promise<void>;
  validate: (spec: ResolvedSpec) => void;
}

/** A compute that runs, or has got as far as `statuses` say. */
function subject(statuses: readonly Status[] = ['init', 'running']): Subject {
  const state = new ComputeState(spec());
  for (const status of statuses) state.lifecycle.tryMove(status);
  state.postgres = { running: true } as ComputeState['postgres'];
  const applied: ResolvedSpec[] = [];
  const it: Subject = {
    state,
    applied,
    load: () => Promise.resolve(spec()),
    apply: () => Promise.resolve(),
    validate: () => {},
    settled: () => state.lifecycle.reached(['running', 'refresh_configuration_pending'], signal),
    refresh: new Refresh({
      state,
      log: pino({ level: 'silent' }),
      load: async (): Promise<LoadedConfig> => ({
        spec: await it.load(),
        config: { jwks: { keys: [] }, tls: null },
        source: 'file',
        liveConfigAllowed: true,
        notes: [],
      }),
      specs: new SpecAcceptance({
        state,
        validate: (next) => it.validate(next),
        rotateKeys: () => Promise.resolve(),
      }),
      reconfigure: () => {
        if (state.spec !== null) applied.push(state.spec);
        return it.apply();
      },
      pauseMs: 20,
    }),
  };
  return it;
}

const running = (it: Subject) =>
  eventually('running', () => (it.state.lifecycle.status === 'running' ? true : undefined));

test('a spec that says the same is not applied', async () => {
  const it = subject();
  it.refresh.ask();
  expect(it.state.lifecycle.status).toBe('refresh_configuration');
  await running(it);
  expect(it.applied).toEqual([]);
});

test('any change is applied, that of a secret too', async () => {
  for (const change of [
    { storage_auth_token: 'new' },
    { pageserver_connstring: 'postgresql://x@127.0.0.1:3' },
  ]) {
    const it = subject();
    it.load = () => Promise.resolve(spec(change));
    it.refresh.ask();
    await running(it);
    expect(it.applied).toHaveLength(1);
    expect(it.state.spec).toBe(it.applied[0]);
  }
});

test('a failure shows its reason, is tried again, and its reason is gone after a success', async () => {
  const it = subject();
  let tries = 0;
  it.load = () =>
    ++tries < 3
      ? Promise.reject(new ComputeError('control_plane', 'nobody answers'))
      : Promise.resolve(spec());
  it.refresh.ask();
  const { lifecycle } = it.state;
  expect(await lifecycle.reached(['refresh_configuration_pending'], signal)).toBe(
    'refresh_configuration_pending',
  );
  expect(lifecycle.error).toBe(
    `nobody answers\n\nHint: ${errorCodes.control_plane.act}\nCode: control_plane`,
  );
  await running(it);
  expect([tries, lifecycle.error]).toEqual([3, null]);
});

test('a spec that could not be applied is applied again, although it is stored already', async () => {
  const it = subject();
  it.load = () => Promise.resolve(spec({ storage_auth_token: 'new' }));
  it.apply = () => (it.applied.length < 2 ? Promise.reject(new Error('no')) : Promise.resolve());
  it.refresh.ask();
  await running(it);
  expect(it.applied).toHaveLength(2);
});

test('a source without a spec, and a spec for another timeline, change nothing', async () => {
  for (const found of [null, spec({ timeline_id: 'f7ff2504a4cdc90a60f985c58c2001c4' })]) {
    const it = subject();
    it.load = () => Promise.resolve(found);
    const before = it.state.spec;
    it.refresh.ask();
    await it.state.lifecycle.reached(['refresh_configuration_pending'], signal);
    expect(it.state.spec).toBe(before);
    expect(it.applied).toEqual([]);
    it.state.stop.bySignal();
    it.state.lifecycle.tryMove('termination_pending_fast');
  }
});

test('a refused spec does not become the spec in force through refresh', async () => {
  const it = subject();
  const before = it.state.spec;
  it.load = () => Promise.resolve(spec({ storage_auth_token: 'new' }));
  it.validate = () => {
    throw new ComputeError('spec_invalid', 'no');
  };
  it.refresh.ask();
  await it.state.lifecycle.reached(['refresh_configuration_pending'], signal);
  expect(it.state.spec).toBe(before);
  expect(it.applied).toEqual([]);
  it.state.stop.bySignal();
  it.state.lifecycle.tryMove('termination_pending_fast');
});

test('a Postgres that ends while a refresh is waiting leaves the compute failed', async () => {
  const it = subject();
  it.load = () => Promise.reject(new Error('no'));
  it.refresh.ask();
  const { lifecycle } = it.state;
  await lifecycle.reached(['refresh_configuration_pending'], signal);
  it.state.postgres = null;
  expect(lifecycle.tryMove('failed', explain(new Error('Postgres exited')))).toBe(true);
  await eventually('no more tries', () => (lifecycle.status === 'failed' ? true : undefined));
  expect(() => it.refresh.ask()).toThrow('Cannot refresh');
  expect(lifecycle.error).toBe(`Postgres exited\n\nHint: ${errorCodes.internal.act}\nCode: internal`);
});

test('a failed reconfiguration is repaired by a refresh', async () => {
  const it = subject(['init', 'running', 'configuration_pending', 'configuration', 'failed']);
  it.refresh.ask();
  await running(it);
  expect(it.applied).toHaveLength(1);
});

test('a start is left alone, and other statuses have nothing to refresh', () => {
  const starting = subject(['init']);
  starting.refresh.ask();
  expect(starting.state.lifecycle.status).toBe('init');
  const names: [Status[], string][] = [
    [[], 'Empty'],
    [['configuration_pending'], 'ConfigurationPending'],
    [['termination_pending_fast'], 'TerminationPendingFast'],
    [['termination_pending_fast', 'terminated'], 'Terminated'],
  ];
  for (const [statuses, name] of names) {
    const it = subject(statuses);
    expect(() => it.refresh.ask()).toThrow(`Cannot refresh compute configuration in state ${name}`);
  }
});

test('asking again ends the pause before the next try, and leaving ends the tries', async () => {
  const it = subject();
  let tries = 0;
  it.load = () => {
    tries++;
    return Promise.reject(new Error('no'));
  };
  it.refresh.ask();
  await eventually('some tries', () => (tries >= 3 ? true : undefined));
  const before = tries;
  await it.state.lifecycle.reached(['refresh_configuration_pending'], signal);
  it.refresh.ask();
  await eventually('another try', () => (tries > before ? true : undefined), 1000);
  it.state.lifecycle.tryMove('termination_pending_fast');
  it.state.stop.bySignal();
  const after = tries;
  // Time for many tries.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(tries).toBe(after);
});
