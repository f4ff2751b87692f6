import { existsSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pgbouncerPath } from '../../support/helpers.ts';
import { becomes, poolerRig, wanted } from '../../support/pooler-rig.ts';

const never = new AbortController().signal;
const it = poolerRig();
const { bench, connect, ini } = it;

describe.skipIf(pgbouncerPath === undefined)('with the real pgbouncer', () => {
  test.each([
    ['a request', true],
    ['the crash of Postgres', false],
  ])('it is stopped after %s, and its file is as before', async (_, asked) => {
    await it.pooler.start();
    await connect();
    const image = ini();
    const { start, stop } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    const exited = once(it.pooler.child(), 'exit');
    if (asked) {
      stop.abort();
      await exited;
    }
    await service.end?.(never);
    await exited;
    expect(ini()).toBe(image);
    expect(existsSync(`${it.pooler.ini}.new`)).toBe(false);
  });

  test.each([
    [true, true],
    [false, false],
  ])('--dev keeps it after a signal (%s), not after /terminate', async (bySignal, stays) => {
    await it.pooler.start();
    const { start, stop } = bench({ dev: true }, { bySignal });
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    stop.abort();
    await service.end?.(never);
    const runs = (): boolean => it.pooler.child().exitCode === null && it.pooler.child().signalCode === null;
    await expect.poll(runs).toBe(stays);
    expect(ini().includes('= 7')).toBe(stays);
  });

  test('one that a supervisor starts in its place is left alone', async () => {
    await it.pooler.start();
    const { start, stop } = bench();
    const service = await start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'ok');
    const exited = once(it.pooler.child(), 'exit');
    stop.abort();
    await exited;
    await it.pooler.start();
    await service.end?.(never);
    expect((await it.pooler.rows('SHOW VERSION')).length).toBe(1);
    expect(it.pooler.runs()).toBe(true);
  });

  test('a pgbouncer that is held by SIGSTOP ends too', async () => {
    await it.pooler.start();
    const { start } = bench();
    const service = await start(wanted({}));
    await becomes(service, 'ok');
    const exited = once(it.pooler.child(), 'exit');
    it.pooler.child().kill('SIGSTOP');
    await service.end?.(never);
    await exited;
  });

  test('the pgbouncer of somebody else is not stopped: it began after the file was written', async () => {
    await it.pooler.start();
    const stale = join(it.home, 'stale.pid');
    writeFileSync(stale, String(it.pooler.child().pid));
    utimesSync(stale, 1, 1);
    const { start } = bench({ pgbouncerPidFile: stale });
    const service = await start(wanted({}));
    await becomes(service, 'ok');
    await expect(service.end?.(never)).rejects.toThrow('it began after the file was written');
    expect(it.pooler.child().signalCode ?? it.pooler.child().exitCode).toBeNull();
  });
});

test.each(['0', '-1', '1', '', 'x', '12 34', '99999999999', '0x10', String(process.pid)])(
  'the pid file with %j hits nobody',
  async (text) => {
    writeFileSync(it.pooler.pidFile, text);
    const service = await bench().start(wanted({}));
    await expect(service.end?.(never)).rejects.toThrow('does not hold a process number');
  },
);

test('a pid file that is missing, stale, a link, or of another program hits nobody', async () => {
  const service = async (): Promise<void> => (await bench().start(wanted({}))).end?.(never);
  await service();
  writeFileSync(it.pooler.pidFile, '4194304\n');
  await service();
  writeFileSync(it.pooler.pidFile, `${it.cluster.postmaster.pid}\n`);
  await expect(service()).rejects.toThrow('it is not pgbouncer');
  renameSync(it.pooler.pidFile, `${it.pooler.pidFile}.1`);
  symlinkSync(`${it.pooler.pidFile}.1`, it.pooler.pidFile);
  await expect(service()).rejects.toThrow('is a symbolic link');
  expect(it.cluster.postmaster.signalCode).toBeNull();
});
