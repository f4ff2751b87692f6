import { expect, test } from 'vitest';
import type { Listed } from '../../../../src/local/branches/list.ts';
import { treeOf } from '../../../../src/local/dashboard/tree.ts';
import type { LocalState } from '../../../../src/local/state.ts';

const listed = (name: string, parent: string | null): Listed => ({
  ...{ name, parent, state: 'running', parent_lsn: null, created_at: null, expires_at: null },
  ...{
    restorable: null,
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
