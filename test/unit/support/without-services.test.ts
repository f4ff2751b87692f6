import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withoutServices } from '../../../scripts/without-services.mjs';

let dir: string;
let policy: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'policy-'));
  policy = join(dir, 'policy-rc.d');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** As invoke-rc.d asks it: 101 forbids, 0 allows. */
const asked = (): number | null => spawnSync(policy, ['pgbouncer', 'start', '2']).status;

test('no service starts while packages are installed, also when that fails, and afterwards everything is as before', () => {
  expect(withoutServices(asked, policy)).toBe(101);
  expect(existsSync(policy)).toBe(false);
  const fails = (): never => {
    throw new Error('apt');
  };
  expect(() => withoutServices(fails, policy)).toThrow('apt');
  expect(existsSync(policy)).toBe(false);
});

test('a policy of somebody else is asked, and stays', () => {
  writeFileSync(policy, '#!/bin/sh\nexit 104\n', { mode: 0o755 });
  expect(withoutServices(asked, policy)).toBe(104);
  expect(readFileSync(policy, 'utf8')).toContain('104');
});

test('what a process left behind that was killed forbids nothing, goes by itself, and is replaced', () => {
  const module = pathToFileURL(join(import.meta.dirname, '../../../scripts/without-services.mjs')).href;
  const dies = `import { withoutServices } from ${JSON.stringify(module)};
    withoutServices(() => process.kill(process.pid, 'SIGKILL'), ${JSON.stringify(policy)});`;
  const kill = (): unknown =>
    spawnSync(process.execPath, ['--input-type=module', '-e', dies], { stdio: 'ignore' });
  kill();
  expect(existsSync(policy)).toBe(true);
  expect(withoutServices(asked, policy)).toBe(101);
  kill();
  execFileSync(policy);
  expect(existsSync(policy)).toBe(false);
});
