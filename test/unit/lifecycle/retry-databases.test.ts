import { pino } from 'pino';
import { expect, test } from 'vitest';
import { CatalogFailure } from '../../../src/catalog/result.ts';
import { sleep } from '../../../src/core/clock.ts';
import { ComputeError } from '../../../src/core/errors.ts';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { noLsn } from '../../../src/core/lsn.ts';
import { Operations } from '../../../src/lifecycle/operations.ts';
import { DatabaseRetry } from '../../../src/lifecycle/retry-databases.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { step } from '../../../src/lifecycle/steps.ts';
import { idleFileCache } from '../../support/file-cache.ts';
import { ServiceRunner } from '../../../src/services/runner.ts';
import type { ServiceDeps } from '../../../src/services/service.ts';
import type { Settings } from '../../../src/services/settings.ts';
import type { ResolvedSpec } from '../../../src/spec/resolve.ts';
import { eventually } from '../../support/program.ts';

const { signal } = new AbortController();
const settings = {} as Settings;
const spec = (): ResolvedSpec =>
  ({ tenantId: 't', timelineId: 'l', mode: { kind: 'primary' } }) as ResolvedSpec;

const failure = (names: readonly string[], { onlyDatabases = true, final = false } = {}): CatalogFailure =>
  new CatalogFailure([new ComputeError('catalog', 'a pass failed')], {
    result: { outcomes: [], statements: 0, durationMs: 0 },
    databases: new Map(
      names.map((name) => [name, { reason: `why ${name}`, sqlState: 'XX001', hint: 'restore it', final }]),
    ),
    remainder: { databases: new Set(names), units: new Set(names) },
    onlyDatabases,
  });

/** A compute whose passes have these results, the first one that of the start; null is a success. */
function subject(results: (CatalogFailure | Error | null)[], pauseMs = 1) {
  const lines: { level: number; msg: string }[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push(JSON.parse(line) as never) },
  );
  const state = new ComputeState(spec());
  state.lifecycle.tryMove('init');
  /** What runs now; two at a time would be a defect. */
  const running = new Set<string>();
  const said: string[] = [];
  const pass = (name: string) =>
    step('apply-catalog', async (_: unknown, stop: AbortSignal) => {
      if (running.size > 0) said.push(`${name} beside ${[...running].join()}`);
      running.add(name);
      said.push(name);
      try {
        const result = results.shift() ?? null;
        if (result instanceof Error && !(result instanceof CatalogFailure)) throw result;
        if (results.length === 0 && name === 'retry') await sleep(60_000, stop);
        state.databases.passed(result);
        // A start and a promotion leave them to the retry.
        if (result !== null && name !== 'start' && name !== 'promote') throw result;
      } finally {
        running.delete(name);
      }
    });
  const operations = new Operations(
    {
      settings,
      state,
      log,
      services: new ServiceRunner([], { settings, log } as ServiceDeps),
      failpoints: new Failpoints(),
      lfc: idleFileCache(),
    },
    { start: [pass('start')], reconfigure: [pass('reconfigure')], promote: [pass('promote')] },
    new DatabaseRetry([pass('retry')], { firstMs: pauseMs }),
  );
  const names = (): string[] => state.databases.list().map(({ name }) => name);
  return { operations, state, said, lines, names };
}

test('databases are tried again until all are done, also after a try that failed for another reason', async () => {
  const { operations, names, said, lines, state } = subject([
    failure(['a', 'b']),
    failure(['b']),
    new Error('the server is away'),
    failure([], { onlyDatabases: false }),
    null,
    null,
  ]);
  await operations.start(signal);
  expect(state.lifecycle.status).toBe('running');
  await eventually('nothing failed', () => (names().length === 0 ? true : undefined));
  expect(said).toEqual(['start', 'retry', 'retry', 'retry', 'retry']);
  const logged = lines.map(({ msg }) => msg).join('\n');
  expect(logged).toMatch(
    /database "a" is not as the spec asks.*next try in \d+ s, at \S+Z: why a Hint: restore it/,
  );
  expect(logged).toMatch(/could not try the databases again, next try.*: the server is away/);
  expect(logged).toContain('databases are as the spec asks now: "a", "b"');
  await operations.shutDown(false, signal);
});

test('a reconfiguration ends the try that is running, before its own pass begins', async () => {
  const { operations, names, said } = subject([failure(['a']), failure(['a'])]);
  await operations.start(signal);
  await eventually('a try', () => (said.includes('retry') ? true : undefined));
  await operations.reconfigure();
  expect(said).toEqual(['start', 'retry', 'reconfigure']);
  expect(names()).toEqual([]);
});

test('a reconfiguration that fails is not followed by a retry; its failure says what is known', async () => {
  const { operations, said, state } = subject([failure(['a']), failure(['a', 'c'])], 60_000);
  await operations.start(signal);
  expect(state.databases.list()[0]?.next_try).toMatch(/Z$/);
  await expect(operations.reconfigure()).rejects.toThrow('a pass failed');
  expect(said).toEqual(['start', 'reconfigure']);
  expect(state.databases.list()).toMatchObject([
    { name: 'a', failures: 2, next_try: null },
    { name: 'c', failures: 1, next_try: null },
  ]);
});

test('a promotion ends the retry, and begins one when databases failed in it', async () => {
  const { operations, said, names } = subject([failure(['a']), failure(['b']), null, null], 50);
  await operations.start(signal);
  const acceptSpec = (): Promise<void> => Promise.resolve();
  await operations.promote({ replica: spec(), next: spec(), wanted: noLsn, acceptSpec });
  expect(names()).toEqual(['b']);
  await eventually('nothing failed', () => (names().length === 0 ? true : undefined));
  expect(said).toEqual(['start', 'promote', 'retry']);
});

test('a shutdown ends the try that is running and the pause before the next', async () => {
  for (const results of [[failure(['a']), failure(['a'])], [failure(['a'])]]) {
    const { operations, state, said } = subject([...results], results.length === 1 ? 60_000 : 1);
    await operations.start(signal);
    if (results.length > 1) await eventually('a try', () => (said.includes('retry') ? true : undefined));
    state.stop.byHttp('fast');
    await operations.shutDown(false, signal);
    expect(state.databases.list()).toMatchObject([{ name: 'a', failures: 1, next_try: null }]);
  }
});

test('databases that made Postgres crash are not tried again by themselves', async () => {
  const { operations, said, lines, names } = subject([failure(['a'], { final: true })]);
  await operations.start(signal);
  await eventually('its line', () =>
    lines.some(({ msg }) => msg.includes('not tried again before the next start: why a')) ? true : undefined,
  );
  expect(said).toEqual(['start']);
  expect(names()).toEqual(['a']);
});

test('a pass that ended before it came to the databases leaves them named', () => {
  const { state } = subject([]);
  state.databases.passed(failure(['a', 'b']));
  const { remainder } = state.databases;
  state.databases.passed(failure(['b'], { onlyDatabases: false }));
  expect(state.databases.list()).toMatchObject([
    { name: 'a', failures: 1 },
    { name: 'b', failures: 2 },
  ]);
  expect(state.databases.remainder).toBe(remainder);
  state.databases.passed(null);
  expect(state.status()).not.toHaveProperty('failed_databases');
});
