import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MemoryWatch, checkCgroup, totalMemory } from '../../../src/vm-monitor/cgroup.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { type FakeHierarchy, fakeHierarchy } from '../../support/agent.ts';

const log = pino({ level: 'silent' });
let hierarchy: FakeHierarchy;
beforeEach(() => {
  hierarchy = fakeHierarchy(1024 * mib);
});
afterEach(() => hierarchy.remove());

const cgroup = () => ({ root: hierarchy.root, name: 'neon-postgres' });

test('the first sample waits for no timer', async () => {
  const watch = new MemoryWatch(cgroup(), log);
  const stop = new AbortController();
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    await watch.run(() => stop.abort(), stop.signal);
  } finally {
    vi.useRealTimers();
  }
  expect(watch.usage()).toMatchObject({ count: 1 });
});

test('ten samples a second are taken, and never more though timers fire early', async () => {
  hierarchy.use(500 * mib);
  const watch = new MemoryWatch(cgroup(), log);
  const stop = new AbortController();
  const startMs = performance.now();
  const ticks: number[] = [];
  await watch.run(() => {
    ticks.push(performance.now() - startMs);
    if (ticks.length === 15) stop.abort();
  }, stop.signal);
  expect(ticks[14]).toBeGreaterThan(1390);
  expect(watch.usage()).toMatchObject({ count: 5, averageBytes: 500 * mib });
});

test('without a limit of a container the total is that of the machine', async () => {
  expect(await totalMemory(cgroup())).toBe(1024 * mib);
  writeFileSync(join(hierarchy.root, 'memory.max'), 'max\n');
  const meminfo = join(hierarchy.root, 'meminfo');
  writeFileSync(meminfo, 'MemTotal:        1009168 kB\n');
  expect(await totalMemory(cgroup(), meminfo)).toBe(1_033_388_032);
  expect(await totalMemory(cgroup())).toBeGreaterThan(64 * mib);
  await expect(totalMemory(cgroup(), '/no/such/file')).rejects.toThrow('does not contain the total memory');
});

test('a hierarchy of version 1, or none, is named as what is missing', async () => {
  await checkCgroup(cgroup());
  await expect(checkCgroup({ root: '/no/such/root', name: 'x' })).rejects.toThrow(
    'cannot read /no/such/root/cgroup.controllers: ENOENT',
  );
  await expect(checkCgroup({ ...cgroup(), name: 'other' })).rejects.toMatchObject({
    hint: expect.stringContaining('other') as string,
  });
});
