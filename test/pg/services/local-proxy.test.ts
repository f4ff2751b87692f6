import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configText } from '../../../src/services/local-proxy/config.ts';
import { localProxy, reloadLocalProxy } from '../../../src/services/local-proxy/service.ts';
import { scratchDir } from '../../support/cluster.ts';
import { type FakeLocalProxy, benchFor, fakeLocalProxy } from '../../support/helpers.ts';
import { onPath } from '../../support/on-path.ts';

const never = new AbortController().signal;
const entry = { id: 'a', role_names: ['web'], jwks_url: 'https://k', provider_name: 'p', jwt_audience: null };
const one = configText({ jwks: [entry], tls: null }, null);
const two = configText({ jwks: [{ ...entry, id: 'b' }], tls: null }, { keyPath: '/k', certPath: '/c' });

let home: string;
let config: string;
let pidFile: string;
let proxy: FakeLocalProxy | null;
beforeEach(() => {
  home = scratchDir('lp');
  config = join(home, 'config.json');
  pidFile = join(home, 'pid');
  proxy = null;
});
afterEach(() => {
  proxy?.stop();
  chmodSync(home, 0o755);
  rmSync(home, { recursive: true, force: true });
});

const bench = (dev = false, bySignal = false) =>
  benchFor(localProxy, { localProxyConfig: config, localProxyPidFile: pidFile, dev }, { bySignal });
const readConfig = (): string => readFileSync(config, 'utf8');

describe.skipIf(!onPath('python3'))('with a process that locks its pid file', () => {
  const start = async (locked = true): Promise<FakeLocalProxy> =>
    (proxy = await fakeLocalProxy({ pidFile, config }, { locked }));

  test('it is told of each change, and of nothing else; without a config nobody logs in', async () => {
    const { read } = await start();
    const { start: begin, deps } = bench();
    const service = await begin(one);
    await expect.poll(read).toEqual([null, one]);
    await service.reconfigure(one, never);
    await service.reconfigure(two, never);
    await expect.poll(read).toEqual([null, one, two]);
    expect(service.health).toMatchObject({ state: 'ok', error: null });
    expect(reloadLocalProxy(deps.settings.helpers)).toBe(true);
    await expect.poll(read).toEqual([null, one, two, two]);
    await service.stop(never);
    await expect.poll(read).toEqual([null, one, two, two, '{}']);
    expect(proxy?.exited()).toBe(false);
  });

  test('a file with the same content is not told again after a restart of compute_ctl, but once', async () => {
    writeFileSync(config, one);
    const { read } = await start();
    const service = await bench().start(one);
    await expect.poll(read).toEqual([one, one]);
    await service.stop(never);
  });

  test.each([
    [false, false],
    [true, false],
    [true, true],
  ])('it stops with the compute, except with --dev (%s) after a signal (%s)', async (dev, bySignal) => {
    const { exited } = await start();
    const { start: begin, stop } = bench(dev, bySignal);
    const service = await begin(one);
    await expect.poll(() => proxy?.read().length).toBe(2);
    stop.abort();
    await service.end?.(never);
    await expect.poll(exited).toBe(!(dev && bySignal));
    expect(existsSync(config)).toBe(dev && bySignal);
  });

  test('it stops when Postgres has crashed', async () => {
    const { exited } = await start();
    const service = await bench().start(one);
    await expect.poll(() => proxy?.read().length).toBe(2);
    await service.end?.(never);
    await expect.poll(exited).toBe(true);
  });

  test('a process that does not hold the lock gets no signal', async () => {
    const { read, exited } = await start(false);
    const service = await bench().start(one);
    await expect.poll(() => existsSync(config)).toBe(true);
    await service.reconfigure(two, never);
    await expect.poll(readConfig).toBe(two);
    await service.end?.(never);
    // SIGHUP would have been noted, SIGTERM would have ended it.
    expect([read().length, exited()]).toEqual([1, false]);
  });

  test('a number that is not the holder of the lock gets no signal', async () => {
    const { exited } = await start();
    const other = join(home, 'other');
    mkdirSync(other);
    const second = await fakeLocalProxy({ pidFile: join(other, 'pid'), config }, { locked: true });
    writeFileSync(pidFile, String(second.pid));
    const service = await bench().start(one);
    await expect.poll(() => existsSync(config)).toBe(true);
    await service.end?.(never);
    expect([exited(), second.exited(), second.read().length]).toEqual([false, false, 1]);
    second.stop();
  });
});

test('without local_proxy the file is written whole, readable for it, and removed', async () => {
  const service = await bench().start(one);
  await expect.poll(() => existsSync(config)).toBe(true);
  expect(JSON.parse(readConfig())).toEqual({ jwks: [entry] });
  expect(statSync(config).mode & 0o777).toBe(0o644);
  await service.reconfigure(two, never);
  await expect.poll(readConfig).toBe(two);
  expect(JSON.parse(two)).toMatchObject({ tls: { key_path: '/k', cert_path: '/c' } });
  await service.stop(never);
  expect(existsSync(config)).toBe(false);
});

test('a file that somebody else has changed is not removed', async () => {
  const service = await bench().start(one);
  await expect.poll(() => existsSync(config)).toBe(true);
  writeFileSync(config, 'mine');
  await service.end?.(never);
  expect(readConfig()).toBe('mine');
});

test.each(['0', '-1', '1', 'x', '7 7'])('a pid file with %j hits nobody, and is said', async (text) => {
  writeFileSync(pidFile, text);
  const service = await bench().start(one);
  await expect.poll(() => service.health.error).toContain('does not hold a process number');
  await expect(service.end?.(never)).rejects.toThrow();
});

test('a missing directory is said, and tried again', async () => {
  rmSync(home, { recursive: true });
  const service = await bench().start(one);
  await expect.poll(() => service.health.error).toMatch(/could not write.*config\.json.*ENOENT/);
  mkdirSync(home);
  await expect.poll(() => existsSync(config)).toBe(true);
  await expect.poll(() => service.health.state).toBe('ok');
  await service.end?.(never);
});
