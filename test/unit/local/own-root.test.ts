import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimDir, createRoot } from '../../../src/local/claim.ts';
import { lockDir } from '../../../src/local/lock.ts';
import { inspectDir } from '../../../src/local/own.ts';
import { ownRoot } from '../../../src/local/own-root.ts';
import { localDir } from '../../../src/local/state.ts';
import { scratchDir } from '../../support/scratch.ts';

test('two that make a new directory theirs at the same moment wait for each other', async () => {
  const path = scratchDir('own-root');
  const dir = localDir(join(path, 'new'));
  try {
    await Promise.all(Array.from({ length: 8 }, () => ownRoot(dir)));
    expect(inspectDir(dir).kind).toBe('own');
    // An `up` keeps its lock for as long as it runs.
    rmSync(dir.root, { recursive: true });
    createRoot(dir);
    const lock = await lockDir(dir);
    const other = ownRoot(dir);
    claimDir(dir);
    await other;
    await lock.release();
  } finally {
    rmSync(path, { recursive: true });
  }
});
