import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { benchDir } from '../../../bench/bench-dir.ts';

test('a bench makes the directory of --dir where it is missing', () => {
  const home = mkdtempSync(join(tmpdir(), 'bench-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const parent = join(home, 'new', 'below');
  const [first, second] = [benchDir(parent), benchDir(parent)];
  expect(first).not.toBe(second);
  expect([first, second].every((path) => path.startsWith(`${parent}/`))).toBe(true);
  // PostgreSQL runs as another user than root.
  expect(statSync(first).mode & 0o777).toBe(0o755);
});
