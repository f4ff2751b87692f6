import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Pooler, endPoolers, poolers } from '../../../src/lifecycle/end-poolers.ts';
import { recorder } from '../http/support.ts';

let dir: string;
let children: ChildProcess[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'poolers-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** A program of that name which does nothing, and its pid file. */
async function running(name: string, file = `${name}.pid`): Promise<ChildProcess> {
  const program = join(dir, name);
  copyFileSync('/bin/sleep', program);
  const child = spawn(program, ['600'], { stdio: 'ignore' });
  await once(child, 'spawn');
  children.push(child);
  writeFileSync(join(dir, file), `  ${child.pid}\n`);
  return child;
}

const here = (): Pooler[] =>
  poolers.map((pooler) => ({ ...pooler, pidFile: join(dir, `${pooler.name}.pid`) }));

test('pgbouncer is killed, local_proxy is asked to end', async () => {
  const [bouncer, proxy] = [await running('pgbouncer'), await running('local_proxy')];
  const ended = Promise.all([once(bouncer, 'exit'), once(proxy, 'exit')]);
  const { log, lines } = recorder();
  endPoolers(log, here());
  expect(await ended).toEqual([
    [null, 'SIGKILL'],
    [null, 'SIGTERM'],
  ]);
  expect(lines).toHaveLength(2);
});

test('another program whose pid the file names, a link, and what is not a pid end nothing', async () => {
  const other = await running('postgres', 'pgbouncer.pid');
  const { log } = recorder();
  endPoolers(log, here());
  rmSync(join(dir, 'pgbouncer.pid'));
  const bouncer = await running('pgbouncer', 'elsewhere.pid');
  symlinkSync('elsewhere.pid', join(dir, 'pgbouncer.pid'));
  writeFileSync(join(dir, 'local_proxy.pid'), '-1');
  endPoolers(log, here());
  rmSync(join(dir, 'pgbouncer.pid'));
  writeFileSync(join(dir, 'pgbouncer.pid'), '4194305');
  endPoolers(log, here());
  expect([other, bouncer].map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([null, null]);
  for (const child of [other, bouncer]) process.kill(child.pid as number, 0);
});

test('without their files nothing happens, and nothing is said', () => {
  const { log, lines } = recorder();
  endPoolers(log, here());
  expect(lines).toEqual([]);
});
