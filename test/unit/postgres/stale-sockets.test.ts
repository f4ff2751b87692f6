import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { removeStaleSockets } from '../../../src/postgres/stale-sockets.ts';
import { eventually } from '../../support/program.ts';
import { scratchDir } from '../../support/scratch.ts';

const log = pino({ level: 'silent' });
let dir: string;
let lock: string;
let socket: string;
beforeEach(() => {
  dir = scratchDir('sockets');
  socket = join(dir, '.s.PGSQL.5555');
  lock = `${socket}.lock`;
});
const lockedBy = (pid: number): void => {
  writeFileSync(lock, `${pid}\n/srv/pgdata\n1700000000\n5555\n${dir}\n`);
  writeFileSync(socket, '');
};
const remove = (): void => removeStaleSockets({ directories: `/nowhere, "${dir}"`, port: '5555' }, log);

test('a lock of a process that has ended but is not reaped is removed, with its socket', async () => {
  // The shell becomes a program that never waits for its child.
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line);
    await eventually('its end', () =>
      /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? true : undefined,
    );
    lockedBy(pid);
    remove();
    expect([existsSync(lock), existsSync(socket)]).toEqual([false, false]);
  } finally {
    parent.kill('SIGKILL');
  }
});

test('a lock whose number belongs to another program by now, or to nobody, is removed', () => {
  for (const pid of [process.pid, 2 ** 22]) {
    lockedBy(pid);
    remove();
    expect([existsSync(lock), existsSync(socket)]).toEqual([false, false]);
  }
});

test('the lock of a Postgres that runs stays, whatever its data directory', async () => {
  const real = join(scratchDir('bin'), 'postgres');
  writeFileSync(real, readFileSync('/bin/sleep'), { mode: 0o755 });
  const server = spawn(real, ['600']);
  try {
    await once(server, 'spawn');
    lockedBy(server.pid ?? -1);
    remove();
    expect([existsSync(lock), existsSync(socket)]).toEqual([true, true]);
  } finally {
    server.kill('SIGKILL');
  }
});

test('what is not the lock of a server stays: a link, another text, no directory', () => {
  const other = join(dir, 'other');
  writeFileSync(other, `${process.pid}\n`);
  symlinkSync(other, lock);
  remove();
  expect(existsSync(other) && existsSync(lock)).toBe(true);
  removeStaleSockets({ directories: '', port: null }, log);
});
