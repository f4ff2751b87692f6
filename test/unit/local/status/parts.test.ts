import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { formatLsn, parseLsn } from '../../../../src/core/lsn.ts';
import { notingPhase, readPhase } from '../../../../src/local/phase.ts';
import type { Report } from '../../../../src/local/report.ts';
import { Sizes } from '../../../../src/local/status/disk.ts';
import { withoutPageHeader } from '../../../../src/local/storage/range.ts';
import type { StorageStatus } from '../../../../src/local/storage/storage-status.ts';
import { storedLsn } from '../../../../src/local/view-lsn.ts';
import { listensOn, ownUserListensOn } from '../../../../src/process/listens.ts';
import { writePidFile } from '../../../../src/process/pid-file.ts';

const megabyte = 1024 * 1024;
const quiet: Report = { event() {}, progress() {} };

test.each([
  ['0/3000028', '0/3000000', 'the place of the first record of a segment'],
  ['0/3000001', '0/3000000', 'within the long header'],
  ['0/3000029', '0/3000029', 'within the first record'],
  ['0/3002018', '0/3002000', 'the place of the first record of a page'],
  ['0/3002019', '0/3002019', 'within a record'],
  ['0/3000000', '0/3000000', 'the beginning of a page'],
  ['1/FF100028', '1/FF100000', 'the same beyond 4 GB'],
])('the LSN %s is %s without its page header: %s', (given, expected) => {
  const lsn = parseLsn(given);
  if (lsn === null) throw new Error('not an LSN');
  expect(formatLsn(withoutPageHeader(lsn, megabyte))).toBe(expected);
});

const status = (from_lsn: string, to_lsn: string): StorageStatus => ({
  end_lsn: to_lsn,
  restorable: { from_lsn, to_lsn },
  base: { number: 1, start_lsn: from_lsn, stop_lsn: from_lsn, postgres_major: 17, taken_at: '' },
  wal_bytes: 0,
  wal_segment_bytes: megabyte,
  compaction_at_bytes: 1,
  attached: true,
  generation: 1,
  troubles: [],
  disk: null,
});
const nowhere = { dir: '/nonexistent', port: 1 };
const stored = (text: string, found: StorageStatus | null): Promise<bigint> =>
  storedLsn(text, { storage: () => Promise.resolve(found), writer: nowhere }, quiet, never);

test.each(['', ' ', 'x', '0', '0/', '/0', '0/0', '0x1/2', '1/100000000', '0/16B3748/1', '-0/1', 'latest'])(
  'what is not an LSN is refused with the range that exists: %j',
  async (text) => {
    await expect(stored(text, status('0/2000000', '0/3000000'))).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('0/2000000 to 0/3000000') as string,
    });
    await expect(stored(text, null)).rejects.toMatchObject({ code: 'usage' });
  },
);

test('an LSN is taken up to both ends of the range, and beyond them refused with it, without a primary, too', async () => {
  const found = status('0/2000050', '0/3000000');
  for (const text of ['0/2000050', ' 0/2000100 ', '0/3000000', '0/3000028'])
    await expect(stored(text, found)).resolves.toBeLessThanOrEqual(0x3000000n);
  for (const text of ['0/200004F', '0/3000029', 'FFFFFFFF/FFFFFFFF'])
    await expect(stored(text, found)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('0/2000050 to 0/3000000') as string,
    });
  await expect(stored('0/2000100', null)).rejects.toThrow('the storage is not running');
});

function freshDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'status-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('up notes in its pid file whether it starts, works, starts again or stops', () => {
  const file = join(freshDir(), 'up.pid');
  const report = notingPhase(quiet, file);
  report.event('starting', {}, null);
  expect(readPhase(file)).toBeNull();
  writePidFile(file, process.pid);
  const seen = [readPhase(file)?.phase];
  for (const event of [
    'storage-exited',
    'storage-restarted',
    'ready',
    'set-aside',
    'compute-exited',
    'compute-exited',
    'compute-restarted',
    'suspending',
    'asleep',
    'storage-exited',
    'storage-restarted',
    'waking',
    'compute-exited',
    'woken',
    'stopping',
    'compute-exited',
  ]) {
    report.event(event, {}, null);
    seen.push(readPhase(file)?.phase);
  }
  expect(seen.join(' ')).toBe(
    'starting starting starting ready ready restarting restarting ready asleep asleep asleep asleep waking restarting ready stopping stopping',
  );
  expect(readPhase(file)).toMatchObject({ exits: { compute: 3, storage: 2 }, inARow: 0 });
});

test('a phase that an ended process noted means nothing, and nobody writes into the pid file of another', () => {
  const file = join(freshDir(), 'up.pid');
  const content = JSON.stringify({ pid: 1, started: 'before:1', phase: 'ready' });
  writeFileSync(file, content);
  expect(readPhase(file)).toBeNull();
  notingPhase(quiet, file).event('ready', {}, null);
  expect(readPhase(file)).toBeNull();
});

test('a process is asked at a port only if it listens there itself', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(listensOn(process.pid, port)).toBe(true);
  expect(listensOn(process.ppid, port)).not.toBe(true);
  expect(ownUserListensOn(port)).toBe(true);
  server.close();
  await once(server, 'close');
  expect(ownUserListensOn(port)).toBe(false);
  expect(listensOn(process.pid, port)).toBe(false);
  expect(listensOn(2 ** 22 + 1, port)).toBeNull();
});

const isRoot = process.geteuid?.() === 0;

test.skipIf(!isRoot)('a token is not sent to a listener of another user', async () => {
  const server = createServer();
  // As in another program: sockets belong to who creates them.
  process.seteuid?.(65_534);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.seteuid?.(0);
  const { port } = server.address() as { port: number };
  expect(ownUserListensOn(port)).toBe(false);
  server.close();
  await once(server, 'close');
});

test('the size of a directory counts what is on disk, and says when its time was up', async () => {
  const dir = freshDir();
  writeFileSync(join(dir, 'a'), Buffer.alloc(100_000, 1));
  const { bytes, complete } = await new Sizes().of(dir);
  expect([bytes >= 98_304, complete]).toEqual([true, true]);
  expect(await new Sizes().of(join(dir, 'missing'))).toEqual({ bytes: 0, complete: true });
  expect(await new Sizes(-1).of(dir)).toEqual({ bytes: 0, complete: false });
});
