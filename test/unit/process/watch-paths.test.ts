import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { monotonicMs } from '../../../src/core/clock.ts';
import { PathWatch } from '../../../src/process/watch-paths.ts';

const { signal } = new AbortController();
const longMs = 20_000;

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'watch-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const at = (...names: string[]): string => join(home, ...names);

/** Watches `path`, makes the changes one after the other, and expects a notification of each. */
async function eachIsSeen(path: string, changes: readonly (() => void)[]): Promise<void> {
  const watch = new PathWatch([path], (error) => {
    throw error;
  });
  try {
    for (const [at, change] of changes.entries()) {
      watch.refresh();
      const startMs = monotonicMs();
      const seen = watch.changed(longMs, signal);
      change();
      await seen;
      expect(monotonicMs() - startMs, `change ${at + 1} was not seen`).toBeLessThan(longMs / 2);
    }
  } finally {
    watch.close();
  }
}

test('a file that is rewritten, renamed over, removed, created and given other permissions', async () => {
  writeFileSync(at('crt'), '1');
  await eachIsSeen(at('crt'), [
    () => writeFileSync(at('crt'), '2'),
    () => {
      writeFileSync(at('other'), '3');
      renameSync(at('other'), at('crt'));
    },
    () => writeFileSync(at('crt'), '4'),
    () => unlinkSync(at('crt')),
    () => writeFileSync(at('crt'), '5'),
    () => chmodSync(at('crt'), 0o600),
  ]);
});

test('a volume of secrets, whose link ..data changes', async () => {
  const version = (name: string): void => {
    mkdirSync(at(name));
    writeFileSync(at(name, 'tls.crt'), name);
    symlinkSync(name, at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
  };
  version('..1');
  symlinkSync('..data/tls.crt', at('tls.crt'));
  const changes = ['..2', '..3', '..4'].map((name) => () => {
    const old = readlinkSync(at('..data'));
    version(name);
    rmSync(at(old), { recursive: true });
  });
  await eachIsSeen(at('tls.crt'), changes);
});

test('links from live to archive, a link to a directory, and a file that is rewritten behind both', async () => {
  mkdirSync(at('archive'));
  mkdirSync(at('live'));
  symlinkSync(at('live'), at('by-name'));
  writeFileSync(at('archive', 'chain1.pem'), '1');
  symlinkSync('../archive/chain1.pem', at('live', 'chain.pem'));
  await eachIsSeen(at('by-name', 'chain.pem'), [
    () => {
      writeFileSync(at('archive', 'chain2.pem'), '2');
      unlinkSync(at('live', 'chain.pem'));
      symlinkSync('../archive/chain2.pem', at('live', 'chain.pem'));
    },
    () => writeFileSync(at('archive', 'chain2.pem'), '3'),
    () => {
      mkdirSync(at('live-2'));
      writeFileSync(at('live-2', 'chain.pem'), '4');
      symlinkSync('live-2', at('by-name.new'));
      renameSync(at('by-name.new'), at('by-name'));
    },
    () => writeFileSync(at('live-2', 'chain.pem'), '5'),
  ]);
});

test('a directory that is replaced, removed, and made again', async () => {
  const make = (): void => {
    mkdirSync(at('fresh'));
    writeFileSync(at('fresh', 'crt'), 'x');
  };
  make();
  renameSync(at('fresh'), at('certs'));
  await eachIsSeen(at('certs', 'crt'), [
    () => {
      make();
      renameSync(at('certs'), at('old'));
      renameSync(at('fresh'), at('certs'));
    },
    () => writeFileSync(at('certs', 'crt'), 'y'),
    () => rmSync(at('certs'), { recursive: true }),
    () => mkdirSync(at('certs')),
    () => writeFileSync(at('certs', 'crt'), 'z'),
  ]);
});

test('a path that does not exist yet, part by part', async () => {
  await eachIsSeen(at('a', 'b', 'crt'), [
    () => mkdirSync(at('a')),
    () => mkdirSync(at('a', 'b')),
    () => writeFileSync(at('a', 'b', 'crt'), ''),
  ]);
});

test('other files in the same directory, and no change at all, are waited through', async () => {
  writeFileSync(at('crt'), '1');
  const watch = new PathWatch([at('crt')], () => {});
  watch.refresh();
  const startMs = monotonicMs();
  const waited = watch.changed(400, signal);
  for (let n = 0; n < 50; n++) writeFileSync(at(`other-${n}`), '');
  await waited;
  expect(monotonicMs() - startMs).toBeGreaterThanOrEqual(395);
  const stop = new AbortController();
  const stopped = watch.changed(longMs, stop.signal);
  stop.abort();
  await expect(stopped).rejects.toThrow();
  watch.close();
});

test('a change between refresh and the wait is not missed; loops of links end', async () => {
  writeFileSync(at('crt'), '1');
  symlinkSync('loop', at('loop'));
  const watch = new PathWatch([at('crt'), at('loop')], () => {});
  watch.refresh();
  writeFileSync(at('crt'), '2');
  // The event loop must turn for the notification.
  await new Promise((resolve) => setImmediate(resolve));
  const startMs = monotonicMs();
  await watch.changed(longMs, signal);
  expect(monotonicMs() - startMs).toBeLessThan(longMs / 2);
  watch.close();
});

/** Watches of the kernel in this process. */
const kernelWatches = (): number =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify /gm)?.length ?? 0;
      } catch {
        return 0;
      }
    })
    .reduce((sum, count) => sum + count, 0);
const descriptors = (): number => readdirSync('/proc/self/fd').length;

test('1000 replaced directories leave no watch and no descriptor behind', async () => {
  mkdirSync(at('..0'));
  writeFileSync(at('..0', 'crt'), '');
  symlinkSync('..0', at('..data'));
  symlinkSync('..data/crt', at('crt'));
  const watch = new PathWatch([at('crt')], () => {});
  watch.refresh();
  await new Promise((resolve) => setImmediate(resolve));
  const before = [kernelWatches(), descriptors()];
  expect(before[0]).toBeGreaterThanOrEqual(2);
  for (let n = 1; n <= 1000; n++) {
    mkdirSync(at(`..${n}`));
    writeFileSync(at(`..${n}`, 'crt'), '');
    symlinkSync(`..${n}`, at('..tmp'));
    renameSync(at('..tmp'), at('..data'));
    if (n % 2 === 0) rmSync(at(`..${n - 1}`), { recursive: true });
    watch.refresh();
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect([kernelWatches(), descriptors()]).toEqual(before);
  watch.close();
  expect(kernelWatches()).toBe(before[0]! - 2);
});
