import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Node, nodeDir, primaryNode, setPrimaryNode, writeNode } from '../../../src/local/nodes.ts';
import { specFor, writerOf } from '../../../src/local/roles.ts';
import { restoreCommand } from '../../../src/local/spec.ts';
import { type LocalDir, type LocalState, createState, localDir } from '../../../src/local/state.ts';
import { writePidFile } from '../../../src/process/pid-file.ts';
import { parseControlPlane } from '../../../src/spec/parse.ts';
import { type ResolvedSpec, resolveSpec, setting } from '../../../src/spec/resolve.ts';

let dir: LocalDir;
let state: LocalState;
beforeEach(() => {
  dir = localDir(mkdtempSync(join(tmpdir(), 'roles-')));
  const [postgres, externalHttp, internalHttp, pageserver, safekeeper, controlPlane] = [1, 2, 3, 4, 5, 6];
  state = createState(dir, { postgres, externalHttp, internalHttp, pageserver, safekeeper, controlPlane });
});
afterEach(() => rmSync(dir.root, { recursive: true }));

function add(name: string, mode: Node['mode']): string {
  const computeId = `compute-local-${name}`;
  mkdirSync(dirname(nodeDir(dir, name).pgdata), { recursive: true });
  const ports = { postgres: 11, externalHttp: 12, internalHttp: 13 };
  writeNode(dir, { version: 1, name, computeId, mode, ports });
  return computeId;
}

async function resolved(computeId: string): Promise<ResolvedSpec> {
  const { value, notes } = await parseControlPlane(
    JSON.stringify(specFor(dir, state, computeId, { startToken: () => 'token.start' })),
  );
  expect(notes).toEqual([]);
  if (value.spec === null) throw new Error('no spec');
  return resolveSpec(value.spec);
}

test('a replica gets its WAL from the storage and has nobody to wait for', async () => {
  const { mode, spec } = await resolved(add('replica', 'replica'));
  expect(mode).toEqual({ kind: 'replica' });
  expect(setting(spec, 'port')).toBe('11');
  expect(setting(spec, 'synchronous_standby_names')).toBeNull();
  expect(setting(spec, 'primary_conninfo')).toContain('host=127.0.0.1 port=5 ');
  expect(setting(spec, 'restore_command')).toContain('%f.partial');
});

test('behind a front, Postgres of the main compute has no port: only while up runs, and nodes have theirs', async () => {
  state = { ...state, front: true };
  const addresses = async (computeId: string): Promise<string | null> =>
    setting((await resolved(computeId)).spec, 'listen_addresses');
  expect(await addresses(state.computeId)).toBe('127.0.0.1');
  writePidFile(dir.upPid, process.pid);
  expect(await addresses(state.computeId)).toBe('');
  expect(await addresses(add('replica', 'replica'))).toBe('127.0.0.1');
});

test('a view of the past stops before the record at its LSN', async () => {
  const { mode, spec } = await resolved(add('then', { atLsn: '0/16B3748' }));
  expect(mode).toEqual({ kind: 'static', lsn: 0x16b3748n });
  expect(setting(spec, 'recovery_target_inclusive')).toBe('off');
  expect(setting(spec, 'recovery_target_action')).toBe('pause');
});

test('when a replica is the primary, the main compute follows it', async () => {
  const id = add('replica', 'replica');
  expect(writerOf(dir, state)).toEqual({ dir: dir.run, port: 1 });
  setPrimaryNode(dir, 'replica');
  expect(writerOf(dir, state)).toEqual({ dir: nodeDir(dir, 'replica').run, port: 11 });
  expect((await resolved(id)).mode.kind).toBe('primary');
  expect((await resolved(state.computeId)).mode.kind).toBe('replica');
  setPrimaryNode(dir, null);
  expect(primaryNode(dir)).toBeNull();
  expect((await resolved(state.computeId)).mode.kind).toBe('primary');
});

test('a compute that is not ours has no spec', () => {
  expect(specFor(dir, state, 'another')).toBeNull();
});

/** Runs it as PostgreSQL does. @returns what it copied; null when it failed */
function restored(root: string, file: string): string | null {
  const target = join(dir.root, 'restored');
  rmSync(target, { force: true });
  const values: Record<string, string> = { '%%': '%', '%f': file, '%p': target };
  const command = restoreCommand(root).replaceAll(/%[%fp]/g, (each) => values[each] ?? each);
  const { status } = spawnSync('sh', ['-c', command]);
  return status === 0 ? readFileSync(target, 'utf8') : null;
}

test('the restore command finds the WAL of each PG timeline, in directories with odd names, and no copy of somebody else', () => {
  const root = join(dir.root, "it's 100% %f $HOME");
  const first = '000000010000000000000007';
  const files = {
    [`wal/${first}`]: 'first',
    'wal/000000010000000000000008.partial': 'partial',
    'wal-26/0000001A0000000000000007': 'another PG timeline',
    'wal-26/0000001A.history': 'history',
    [`wal-old/${first}`]: 'a copy',
    [`wal-1/${first}`]: 'a copy',
    'wal-old/000000010000000000000009': 'a copy',
  };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  expect(restored(root, first)).toBe('first');
  expect(restored(root, '000000010000000000000008')).toBe('partial');
  expect(restored(root, '0000001A0000000000000007')).toBe('another PG timeline');
  expect(restored(root, '0000001A.history')).toBe('history');
  expect(restored(root, '000000010000000000000009')).toBeNull();
});
