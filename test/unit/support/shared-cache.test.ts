import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { joinCache } from '../../../scripts/shared-cache.mjs';

let home: string;
let cache: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'shared-cache-'));
  cache = join(home, 'cache');
});
afterEach(() => rmSync(home, { recursive: true }));

const script = new URL('../../../scripts/shared-cache.mjs', import.meta.url).href;

/** Another run of the tests, which uses the cache until its stdin ends. */
async function otherRun(isTemporary: boolean) {
  const code = `import { joinCache } from ${JSON.stringify(script)};
    const leave = joinCache(${JSON.stringify(cache)}, ${isTemporary});
    console.log('joined');
    process.stdin.on('end', leave).resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  return {
    async end(how: 'leaves' | 'is killed') {
      if (how === 'leaves') child.stdin.end();
      else child.kill('SIGKILL');
      await exited;
    },
  };
}

test('520 MB were left in /var/tmp: what npm test has made there goes with it', () => {
  const leave = joinCache(cache, true);
  writeFileSync(join(cache, 'server'), '');
  leave();
  expect(existsSync(cache)).toBe(false);
});

test('what was there before is left alone, and what a single run of vitest has made stays for the next', () => {
  joinCache(cache, false)();
  joinCache(cache, true)();
  expect(existsSync(cache)).toBe(true);
});

test('the cache stays until the last of the runs that share it has ended', async () => {
  const leave = joinCache(cache, true);
  const other = await otherRun(false);
  leave();
  expect(existsSync(cache)).toBe(true);
  await other.end('leaves');
  expect(existsSync(cache)).toBe(false);
});

test('a run that was killed keeps nothing: the next one removes what it has made', async () => {
  await (await otherRun(true)).end('is killed');
  mkdirSync(join(cache, 'users'), { recursive: true });
  expect(existsSync(cache)).toBe(true);
  joinCache(cache, true)();
  expect(existsSync(cache)).toBe(false);
});
