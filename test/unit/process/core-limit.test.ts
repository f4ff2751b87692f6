import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const file = fileURLToPath(new URL('../../../src/process/core-limit.ts', import.meta.url));

/** What a process says that the shell started after `before`. */
const limitAfter = (before: string): string => {
  const script = `import(${JSON.stringify(file)}).then(async (m) => console.log(await m.coreLimit()))`;
  const env = { ...process.env, NODE_NO_WARNINGS: '1' };
  const args = ['-c', `${before}; exec "$0" "$@"`, process.execPath, '-e', script];
  return execFileSync('sh', args, { encoding: 'utf8', env }).trim();
};

test.each([
  ['ulimit -c 0', '0'],
  ['ulimit -c 1000', '512000'],
])('after %s the hard limit is %s bytes', (before, limit) => {
  expect(limitAfter(before)).toBe(limit);
});

test('the limit of the tests is read as the kernel gives it', () => {
  expect(limitAfter(':')).toMatch(/^(?:\d+|unlimited)$/);
});
