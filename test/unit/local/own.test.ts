import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { claimDir } from '../../../src/local/claim.ts';
import { nodeDir } from '../../../src/local/nodes.ts';
import { inspectDir, refuseNodeLinks } from '../../../src/local/own.ts';
import { removeAll } from '../../../src/local/remove.ts';
import { type LocalDir, createState, localDir } from '../../../src/local/state.ts';
import { eventually } from '../../support/program.ts';

const [tenantId, timelineId] = ['a'.repeat(32), 'b'.repeat(32)];
const ports = {
  postgres: 1,
  externalHttp: 2,
  internalHttp: 3,
  pageserver: 4,
  safekeeper: 5,
  controlPlane: 6,
};

function freshDir(): LocalDir {
  const root = mkdtempSync(join(tmpdir(), 'own-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return localDir(root);
}

const timeline = ({ storage }: LocalDir): string => join(storage, tenantId, timelineId);

/** A storage as a stopped `up` leaves it. */
function putStorage(dir: LocalDir): void {
  const base = join(timeline(dir), 'bases/1');
  mkdirSync(base, { recursive: true });
  const facts = { startLsn: '0/1000000', stopLsn: '0/1000100', systemId: '7', walSegmentBytes: 1 << 20 };
  writeFileSync(join(base, 'base.json'), JSON.stringify(facts));
  writeFileSync(join(base, 'base.deflate'), '');
  symlinkSync('bases/1', join(timeline(dir), 'current'));
}

test('a reset that begins has said so before it removes anything: from then on the data counts as deleted', async () => {
  const dir = freshDir();
  const own = claimDir(dir);
  createState(dir, ports, {}, { tenantId, timelineId });
  putStorage(dir);
  writeFileSync(dir.upPid, '{}');
  const seen: (string | null)[] = [];
  const watching = watch(dir.root, (_, name) => void seen.push(name));
  try {
    expect(await removeAll(dir, own)).toEqual([]);
    // The kernel reports them in their order, and this one is the last.
    await eventually('the events', () => (seen.includes('compute-local.marker') ? true : undefined));
  } finally {
    watching.close();
  }
  expect(seen[0]).toBe('local.json');
  expect(seen.indexOf('local.json.reset')).toBeLessThan(seen.indexOf('up.pid'));
  expect(seen.indexOf('up.pid')).toBeLessThan(seen.lastIndexOf('local.json.reset'));
});

test.each(['nodes', 'nodes/replica', 'nodes/replica/pgdata', 'nodes/replica/run'])(
  'a link in the place of %s is refused',
  (path) => {
    const dir = freshDir();
    const beyond = freshDir().root;
    mkdirSync(dirname(join(dir.root, path)), { recursive: true });
    symlinkSync(beyond, join(dir.root, path));
    expect(() => refuseNodeLinks(nodeDir(dir, 'replica'))).toThrow('is a symbolic link');
  },
);

test('a storage without its local.json is ours, with the timeline that it holds', () => {
  const dir = freshDir();
  putStorage(dir);
  expect(inspectDir(dir)).toMatchObject({ kind: 'own', state: null, lost: { tenantId, timelineId } });
});

const nobody = 65_534;

test.runIf(process.getuid?.() === 0)(
  'a storage, and a state, of another user are not taken over, and are named',
  () => {
    const dir = freshDir();
    putStorage(dir);
    chownSync(timeline(dir), nobody, nobody);
    expect(() => inspectDir(dir)).toThrow(`holds tenant ${tenantId}, timeline ${timelineId}`);
    const other = freshDir();
    createState(other, ports);
    chownSync(other.state, nobody, nobody);
    expect(() => inspectDir(other)).toThrow('compute-local did not create what is in it: local.json');
  },
);
