import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BackupFixture, complete, failureOf } from '../support/fake-storage-backup.ts';
import { makeTarball } from '../support/fake-storage.ts';

let fixture: BackupFixture;
let pgdata: string;
const mounted = (): string => join(fixture.home, 'small');

/** Containers often may not mount. */
const mayMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

beforeEach(() => {
  fixture = new BackupFixture();
  mkdirSync(mounted());
  if (!mayMount) return;
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'none', mounted()]);
  pgdata = join(mounted(), 'pgdata');
  mkdirSync(pgdata);
});
afterEach(async () => {
  if (mayMount) execFileSync('umount', [mounted()]);
  await fixture.stop();
});

const failure = async (entries: Parameters<typeof makeTarball>[0]): Promise<string> => {
  const fake = await fixture.pageserver({ tarball: await makeTarball(entries) });
  return failureOf(fixture.context([fake.url], { pgdata, emptied: async () => {} }));
};

test.runIf(mayMount)(
  'a base backup that does not fit says what it needs, leaves room for the start and does not blame the pageserver',
  async () => {
    const said = await failure([...complete, { name: 'base/1/large', body: Buffer.alloc(120_000_000) }]);
    expect(said).toMatch(
      /^failed to get basebackup@0\/169B1D8: no space left on device \(ENOSPC\): .* needs at least 17[89] MB more, and 1\d\d MB are free$/,
    );
    expect(said).not.toContain('pageserver');
    expect(existsSync(join(pgdata, 'base/1/large'))).toBe(false);
    const { bavail, bsize } = statfsSync(pgdata);
    expect(bavail * bsize).toBeGreaterThan(64 * 1024 * 1024);
  },
);

test.runIf(mayMount)('many small files stop before the file system is full', async () => {
  const files = Array.from({ length: 120 }, (_, at) => ({
    name: `base/1/${at}`,
    body: Buffer.alloc(1024 * 1024),
  }));
  const said = await failure([...complete, ...files]);
  expect(said).toContain('no space left on device (ENOSPC)');
  const { bavail, bsize } = statfsSync(pgdata);
  expect(bavail * bsize).toBeGreaterThan(32 * 1024 * 1024);
});

test.runIf(mayMount)('a file system that another program fills meanwhile is noticed', async () => {
  writeFileSync(join(mounted(), 'other'), Buffer.alloc(100 * 1024 * 1024));
  expect(await failure(complete)).toContain('no space left on device (ENOSPC)');
});
