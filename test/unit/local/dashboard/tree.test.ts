import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Listed } from '../../../../src/local/branches/list.ts';
import { readTree, treeKey, treeOf } from '../../../../src/local/dashboard/tree.ts';
import {
  type LocalState,
  createState,
  localDir,
  readState,
  writeState,
} from '../../../../src/local/state.ts';

const listed = (name: string, parent: string | null): Listed => ({
  ...{ name, parent, state: 'running', parent_lsn: null, created_at: null, expires_at: null },
  ...{
    restorable: null,
    restorable_ranges: [],
    keep_seconds: null,
    port: 5432,
    http_port: 1,
    storage_bytes: 1,
    shared_bytes: 2,
    dir: '/d',
  },
});
const state = { user: 'app', password: 'hidden', database: 'app', front: true } as unknown as LocalState;

test('each compute is one deeper than its parent, and its URL has no password', () => {
  const all = [
    listed('main', null),
    listed('a', 'main'),
    listed('b', 'a'),
    listed('c', 'main'),
    listed('d', null),
  ];
  const states = new Map(all.map(({ name }) => [name, state]));
  states.delete('c');
  const nodes = treeOf(all, states);
  // Deleted between two readings.
  expect(nodes.map(({ name, depth }) => [name, depth])).toEqual([
    ['main', 0],
    ['a', 1],
    ['b', 2],
    ['d', 0],
  ]);
  expect(nodes[0]).toMatchObject({
    url: 'postgresql://app@127.0.0.1:5432/app',
    sleeps: true,
    sharedBytes: 2,
  });
  expect(JSON.stringify(nodes)).not.toContain('hidden');
});

const ports = {
  ...{ postgres: 1, externalHttp: 2, internalHttp: 3 },
  ...{ pageserver: 4, safekeeper: 5, controlPlane: 6 },
};

test('a damaged branch is no end of the page, and the page of a branch has no tree', () => {
  const root = mkdtempSync(join(tmpdir(), 'tree-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const dir = localDir(root);
  createState(dir, ports, { listenAll: false }, null);
  expect(readTree(dir)).toMatchObject({ error: null, computes: [{ name: 'main', state: 'stopped' }] });
  const before = treeKey(dir);
  mkdirSync(join(root, 'branches', 'dev'), { recursive: true });
  writeFileSync(join(root, 'branches', 'dev', 'local.json'), '{ "<img>');
  expect(readTree(dir)).toMatchObject({
    computes: [{ name: 'main' }],
    error: null,
    damaged: [expect.stringMatching(/"dev" cannot be used: .*What to do: restore .*delete dev/)],
  });
  expect(treeKey(dir)).not.toBe(before);
  const main = readState(dir) as LocalState;
  writeState(dir, {
    ...main,
    branch: { parent: null, createdAt: '2026-01-01T00:00:00.000Z', expiresAt: null },
  });
  expect(readTree(dir)).toBeNull();
});
