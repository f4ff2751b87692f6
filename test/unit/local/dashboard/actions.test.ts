import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLog } from '../../../../src/core/log.ts';
import type { ActionContext, Facts } from '../../../../src/local/dashboard/action.ts';
import { act, isAtOnce, offersOf } from '../../../../src/local/dashboard/actions.ts';
import type { FieldProblems } from '../../../../src/local/dashboard/field-problems.ts';
import type { Plan } from '../../../../src/local/dashboard/model.ts';
import type { TreeNode } from '../../../../src/local/dashboard/tree-model.ts';
import { SleepNow } from '../../../../src/local/front/sleep-now.ts';
import { createState, localDir } from '../../../../src/local/state.ts';
import type { ComputeReport, StatusReport } from '../../../../src/local/status/schema.ts';

const root = mkdtempSync(join(tmpdir(), 'actions-'));
const dir = localDir(root);
const ports = {
  ...{ postgres: 1, externalHttp: 2, internalHttp: 3 },
  ...{ pageserver: 4, safekeeper: 5, controlPlane: 6 },
};

beforeAll(() => {
  createState(dir, ports, { listenAll: false }, null);
});
afterAll(() => rmSync(root, { recursive: true }));

const compute = (changes: Partial<ComputeReport>): ComputeReport =>
  ({ name: 'main', role: 'primary', state: 'running', up_pid: 1, ...changes }) as ComputeReport;
const node = (changes: Partial<TreeNode>): TreeNode => ({
  ...{
    name: 'main',
    depth: 0,
    state: 'running',
    parent: null,
    parentLsn: null,
    createdAt: null,
    expiresAt: null,
  },
  ...{ restorable: { fromLsn: '0/1', fromTime: '', toLsn: '0/2' }, storageBytes: 0, sharedBytes: 0 },
  ...{ url: '', sleeps: true, ...changes },
});
const plan: Plan = {
  ...{ file: '/d/compute.json', state: 'known', against: 'Postgres', at: '', appliedAt: null },
  ...{
    changes: ['+ role "ann"'],
    left: [],
    drops: [],
    problems: [],
    error: null,
    hint: null,
    digest: 'seen',
  },
};
const factsOf = (computes: ComputeReport[], more: Partial<Facts> = {}): Facts => ({
  report: { computes } as unknown as StatusReport,
  sleeps: true,
  tree: null,
  plan: null,
  ...more,
});
const context: ActionContext = {
  ...{ dir, pgBinDir: null, sleepNow: new SleepNow(), report: { event() {}, progress() {} } },
  ...{ log: createLog({ format: 'text', level: 'fatal' }), signal: new AbortController().signal },
};
const pairs = (facts: Facts): unknown[] => offersOf(facts).map(({ action, target }) => [action, target]);

test('only what is possible is offered, and nothing else is done', () => {
  const facts = factsOf(
    [
      compute({ role: 'replica' }),
      compute({ name: 'b' }),
      compute({ name: 'c', role: 'replica' }),
      compute({ name: 'd', role: 'view', state: 'stopped', up_pid: null }),
    ],
    { sleeps: false },
  );
  expect(pairs(facts)).toEqual([
    ['stop', ''],
    ['promote', 'c'],
    ['stop-node', 'c'],
  ]);
  for (const [action, target] of [
    ['promote', 'main'],
    ['promote', '../x'],
    ['stop-node', 'd'],
    ['sleep', 'main'],
    ['start', 'main'],
    ['branch', ''],
    ['apply', 'main'],
    ['toString', ''],
    ['stop', 'main'],
  ] as const)
    expect(() => act(facts, { action, target }, context)).toThrow('cannot be done now');
});

test('what cannot be done now says why: to load the page again was no help', () => {
  const facts = factsOf([compute({ state: 'no_answer' })], {
    plan: { ...plan, state: 'faulty', error: 'could not connect' },
  });
  expect(() => act(facts, { action: 'sleep', target: 'main' }, context)).toThrow(
    'this cannot be done now: main is in the state "no answer"',
  );
  expect(() => act(facts, { action: 'apply', target: 'main' }, context)).toThrow(
    'this cannot be done now: could not connect',
  );
});

test('main and branches sleep, wake, start and stop as their states allow, and only a stop of everything waits for nothing', () => {
  const states = ['running', 'asleep', 'stopped', 'starting', 'stopping'] as const;
  const tree = {
    computes: [node({}), ...states.map((state) => node({ name: state, state }))],
    error: null,
    damaged: [],
  };
  expect(pairs(factsOf([compute({ state: 'asleep' })], { tree }))).toEqual([
    ['stop', ''],
    ['wake', 'main'],
    ['wake', 'asleep'],
    ['sleep', 'running'],
    ['start', 'stopped'],
    ['stop-branch', 'running'],
    ['stop-branch', 'asleep'],
    ['stop-branch', 'starting'],
    ['branch', ''],
  ]);
  const never = { computes: [node({}), node({ name: 'busy', sleeps: false })], error: null, damaged: [] };
  expect(pairs(factsOf([compute({})], { tree: never }))).toEqual([
    ['stop', ''],
    ['sleep', 'main'],
    ['stop-branch', 'busy'],
    ['branch', ''],
  ]);
  expect(['stop', 'branch', 'x', 'constructor'].map(isAtOnce)).toEqual([true, false, false, false]);
});

test('a branch begins from what has data, and each field that is wrong is named', async () => {
  const empty = node({ name: 'empty', restorable: null });
  const facts = factsOf([compute({})], { tree: { computes: [node({}), empty], error: null, damaged: [] } });
  const offer = offersOf(facts).find(({ action }) => action === 'branch');
  expect(offer?.fields.map(({ name, choices }) => [name, choices])).toEqual([
    ['name', []],
    ['from', ['main']],
    ['at', []],
    ['ttl', []],
  ]);
  const problemsOf = async (fields: Record<string, string>): Promise<unknown> => {
    try {
      await act(facts, { action: 'branch', target: '', fields }, context);
    } catch (error) {
      return (error as FieldProblems).problems;
    }
    return null;
  };
  const found = (...fields: string[]): unknown[] =>
    fields.map((name): unknown => expect.objectContaining({ path: `fields.${name}` }));
  expect(await problemsOf({ name: '<img onerror>', at: 'soon', ttl: 'x' })).toEqual(
    found('name', 'at', 'ttl'),
  );
  expect(await problemsOf({})).toEqual(found('name'));
  expect(await problemsOf({ name: 'main' })).toEqual(found('name'));
  expect(await problemsOf({ name: '../up' })).toEqual(found('name'));
  for (const ttl of ['0s', '999999999w', '-1h'])
    expect(await problemsOf({ name: 'a', ttl })).toEqual(found('ttl'));
  expect(await problemsOf({ name: 'a', from: 'empty' })).toEqual(found('from'));
  expect(await problemsOf({ name: 'a', from: 'constructor' })).toEqual(found('from'));
  expect(await problemsOf({ name: 'a', keep: '7d' })).toEqual(found('keep'));
  mkdirSync(join(root, 'nodes', 'replica'), { recursive: true });
  writeFileSync(join(root, 'nodes', 'replica', 'node.json'), '{}');
  expect(await problemsOf({ name: 'replica' })).toEqual(found('name'));
});

test('a compute.json that was changed since its plan was shown is not applied', async () => {
  const facts = factsOf([compute({})], { plan });
  const offer = offersOf(facts).find(({ action }) => action === 'apply');
  expect(offer).toMatchObject({ target: 'main', lines: ['+ role "ann"'] });
  expect(offer?.fields.find(({ name }) => name === 'digest')).toMatchObject({
    kind: 'hidden',
    value: 'seen',
  });
  writeFileSync(join(root, 'compute.json'), '{ "roles": [{ "name": "eve" }] }');
  const fields = { digest: 'seen', restart: '' };
  await expect(act(facts, { action: 'apply', target: 'main', fields }, context)).rejects.toThrow(
    'compute.json was changed since its plan was shown',
  );
  for (const other of [
    { ...plan, changes: [] },
    { ...plan, state: 'faulty' },
  ] as const)
    expect(pairs(factsOf([compute({})], { plan: other }))).toEqual([
      ['stop', ''],
      ['sleep', 'main'],
    ]);
});

test('there was no way to drop what compute.json no longer names: it is dropped when that is written, and only what was shown', async () => {
  const left = { ...plan, changes: [], left: ['database "old"', 'extension "x"'], drops: ['database "old"'] };
  const facts = factsOf([compute({})], { plan: left });
  expect(pairs(facts)).toEqual([
    ['stop', ''],
    ['sleep', 'main'],
    ['prune', ''],
  ]);
  const offer = offersOf(facts).find(({ action }) => action === 'prune');
  expect(offer).toMatchObject({ dangerous: true, lines: ['- database "old"'] });
  const shown = Object.fromEntries((offer?.fields ?? []).map(({ name, value }) => [name, value]));
  const prune = (fields: Record<string, string>): Promise<string> =>
    act(facts, { action: 'prune', target: '', fields }, context);
  for (const confirm of ['', 'yes', 'old'])
    expect(() => prune({ ...shown, confirm })).toThrow('Expected the word drop.');
  writeFileSync(join(root, 'compute.json'), '{ "roles": [] }');
  await expect(prune({ ...shown, confirm: 'drop' })).rejects.toThrow('was changed since its plan was shown');
});

test('one that never sleeps says so', async () => {
  await expect(act(factsOf([compute({})]), { action: 'sleep', target: 'main' }, context)).rejects.toThrow(
    'it was started to never sleep',
  );
});
