import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { calledAs, dirNamed, stateNamed } from '../../../../src/local/branches/resolve.ts';
import { buildBranch } from '../../../../src/local/branches/build.ts';
import { remove, rename } from '../../../../src/local/branches/change.ts';
import { listAll } from '../../../../src/local/branches/list.ts';
import { withTree } from '../../../../src/local/branches/lock.ts';
import { findBranch, findPlace, listBranches, listDamaged } from '../../../../src/local/branches/tree.ts';
import { claimDir, createRoot } from '../../../../src/local/claim.ts';
import { lockDir } from '../../../../src/local/lock.ts';
import { nodeDir, setPrimaryNode, writeNode } from '../../../../src/local/nodes.ts';
import { choosePorts, preferred } from '../../../../src/local/ports.ts';
import { collectStatus } from '../../../../src/local/status/collect.ts';
import { type LocalDir, createState, localDir, readState } from '../../../../src/local/state.ts';
import { writePidFile } from '../../../../src/process/pid-file.ts';
import { createLog } from '../../../../src/core/log.ts';

const log = createLog({ format: 'text', level: 'error' });
const never = new AbortController().signal;
const wanted = { from: null, keep: null, expiresAt: null, listenAll: false, ports: {} };
const names = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name);

/** With main and three branches that have never run. */
async function home(): Promise<LocalDir> {
  const path = mkdtempSync(join(tmpdir(), 'damaged-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  const dir = localDir(path);
  createRoot(dir);
  claimDir(dir);
  createState(dir, await choosePorts(preferred));
  for (const name of ['a', 'b', 'c'])
    await withTree(dir, log, never, () => buildBranch(dir, { ...wanted, name }));
  return dir;
}

const stateOf = (dir: LocalDir, name: string): string => join(dir.branches, name, 'local.json');

test.each([
  ['damaged', (path: string) => writeFileSync(path, '{"version": 1')],
  ['empty', (path: string) => writeFileSync(path, '')],
  ['a directory', (path: string) => (rmSync(path), mkdirSync(path))],
  [
    'without a parent',
    (path: string) => {
      const state = JSON.parse(readFileSync(path, 'utf8')) as object;
      writeFileSync(path, JSON.stringify({ ...state, branch: { createdAt: '2026-01-01T00:00:00Z' } }));
    },
  ],
  ['of a newer version', (path: string) => writeFileSync(path, '{"version":9}')],
])(
  'a local.json of one branch that is %s stops no command of another, and the branch can be deleted',
  async (_, damage) => {
    const dir = await home();
    damage(stateOf(dir, 'b'));
    expect(names(listAll(dir))).toEqual(['main', 'a', 'c']);
    expect(names(listDamaged(dir))).toEqual(['b']);
    expect(stateNamed(dir, 'a').branch?.parent).toBeNull();
    // Named, with what to do.
    expect(() => stateNamed(dir, 'b')).toThrow('the compute "b" cannot be used');
    const [damaged] = listDamaged(dir);
    expect(damaged?.error.hint).toContain(`delete b --dir ${dir.root}`);
    expect((await collectStatus(dir)).problems).toEqual([
      expect.objectContaining({
        kind: 'unreadable',
        about: 'b',
        message: expect.stringContaining('local.json'),
      }),
    ]);
    expect((await collectStatus(dirNamed(dir, 'b'))).state).toBe('trouble');
    await withTree(dir, log, never, () => buildBranch(dir, { ...wanted, name: 'd' }));
    await remove(dir, 'c', { json: true }, log);
    await remove(dir, 'b', { json: true }, log);
    expect(findBranch(dir, 'b')).toBeNull();
    expect(names(listBranches(dir))).toEqual(['a', 'd']);
    await withTree(dir, log, never, async () => {});
    expect((await collectStatus(dir)).problems).toEqual([]);
  },
);

test('one whose local.json is missing while its data is there is named; one that was created again is listed', async () => {
  const dir = await home();
  const state = readState(localDir(join(dir.branches, 'b')));
  const timeline = join(dir.branches, 'b/storage', state?.tenantId ?? '', state?.timelineId ?? '');
  mkdirSync(join(timeline, 'bases'), { recursive: true });
  writeFileSync(join(timeline, 'fence.json'), '{}');
  rmSync(stateOf(dir, 'b'));
  expect(listDamaged(dir).map(({ error }) => error.message)).toEqual([
    `the compute "b" cannot be used: ${stateOf(dir, 'b')} is missing`,
  ]);
  await withTree(dir, log, never, async () => {});
  expect(names(listDamaged(dir))).toEqual(['b']);
  const { branch: _, ...again } = state ?? {};
  writeFileSync(stateOf(dir, 'b'), JSON.stringify(again));
  expect(names(listBranches(dir))).toEqual(['a', 'b', 'c']);
  await remove(dir, 'b', { json: true }, log);
  expect(names(listBranches(dir))).toEqual(['a', 'c']);
});

test('a damaged local.json of main stops no command of a branch', async () => {
  const dir = await home();
  writeFileSync(dir.state, '{');
  expect(names(listAll(dir))).toEqual(['a', 'b', 'c']);
  expect(names(listDamaged(dir))).toEqual(['main']);
  await withTree(dir, log, never, () => buildBranch(dir, { ...wanted, name: 'd' }));
  await remove(dir, 'a', { json: true }, log);
  expect(names(listBranches(dir))).toEqual(['b', 'c', 'd']);
});

test('a branch of which a replica was promoted is reached at its primary', async () => {
  const dir = await home();
  const own = localDir(join(dir.branches, 'a'));
  const ports = { postgres: 1, externalHttp: 2, internalHttp: 3 };
  mkdirSync(nodeDir(own, 'second').root, { recursive: true });
  writeNode(own, { version: 1, name: 'second', computeId: 'x', mode: 'replica', ports });
  writePidFile(own.upPid, process.pid);
  setPrimaryNode(own, 'second');
  expect(stateNamed(dir, 'a')).toMatchObject({ ports, branch: { parent: null } });
  setPrimaryNode(own, null);
  expect(stateNamed(dir, 'a').ports).toEqual(readState(own)?.ports);
});

test('a branch whose time is over and that cannot be removed now stops no command', async () => {
  const dir = await home();
  const over = { ...wanted, name: 'over', expiresAt: '2026-01-01T00:00:00Z' };
  await withTree(dir, log, never, () => buildBranch(dir, over));
  // Its `up` is just beginning.
  const lock = await lockDir(localDir(join(dir.branches, 'over')));
  await withTree(dir, log, never, async () => {});
  expect(names(listAll(dir))).toEqual(['main', 'a', 'b', 'c', 'over']);
  await lock.release();
  await withTree(dir, log, never, async () => {});
  expect(names(listAll(dir))).toEqual(['main', 'a', 'b', 'c']);
});

test('branches below a directory that was moved to a path too long for sockets are listed, and can be deleted', async () => {
  const dir = await home();
  const moved = `${dir.root}-${'x'.repeat(65 - dir.root.length)}`;
  renameSync(dir.root, moved);
  mkdirSync(dir.root);
  onTestFinished(() => rmSync(moved, { recursive: true }));
  const now = localDir(moved);
  expect(names(listAll(now))).toEqual(['main', 'a', 'b', 'c']);
  await expect(buildBranch(now, { ...wanted, name: 'too-long-for-sockets' })).rejects.toThrow('too long');
  await remove(now, 'a', { json: true }, log);
  expect(names(listAll(now))).toEqual(['main', 'b', 'c']);
});

test('the status of a branch calls it by its name, and not main', async () => {
  const dir = await home();
  const report = await collectStatus(dirNamed(dir, 'a'), undefined, calledAs(dir, 'a'));
  expect(report.computes.map(({ name }) => name)).toEqual(['a']);
  expect(report.primary).toBe('a');
  expect(calledAs(dir, 'a').start).toBe(`compute-local start a --dir ${dir.root}`);
  expect((await collectStatus(dir, undefined, calledAs(dir, null))).primary).toBe('main');
  expect(calledAs(dir, 'main').name).toBe('main');
});

test('a replica is called one by what is for main and branches, and deleting it does not succeed silently', async () => {
  const dir = await home();
  const ports = { postgres: 1, externalHttp: 2, internalHttp: 3 };
  mkdirSync(nodeDir(dir, 'second').root, { recursive: true });
  writeNode(dir, { version: 1, name: 'second', computeId: 'x', mode: 'replica', ports });
  const isNode = expect.objectContaining({
    code: 'usage',
    message: expect.stringContaining('"second" is a replica or static node'),
  });
  await expect(remove(dir, 'second', { json: true }, log)).rejects.toEqual(isNode);
  await expect(rename(dir, 'second', 'third', { json: true }, log)).rejects.toEqual(isNode);
  expect(() => findPlace(dir, 'second')).toThrow(isNode);
});

test('a branch that is renamed to its own name keeps it, and that is said', async () => {
  const dir = await home();
  await expect(rename(dir, 'a', 'a', { json: true }, log)).rejects.toThrow('"a" has that name already');
  expect(names(listBranches(dir))).toEqual(['a', 'b', 'c']);
});
