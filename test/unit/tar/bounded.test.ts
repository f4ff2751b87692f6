import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGzip, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { causeChain } from '../../../src/core/errors.ts';
import { isRetryable } from '../../../src/storage/retryable.ts';
import type { UnpackLimits } from '../../../src/tar/bounded.ts';
import { TarReader } from '../../../src/tar/read.ts';
import { unpack } from '../../../src/tar/unpack.ts';
import { makeTarball } from '../../support/fake-storage.ts';

const { signal } = new AbortController();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bounded-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The failure of unpacking it. */
async function failure(source: AsyncIterable<Buffer>, limits: Partial<UnpackLimits> = {}): Promise<Error> {
  try {
    await unpack(source, { dir, gzip: true, limits }, signal);
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was unpacked');
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** A header of tar. */
function header(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000600\0', 100);
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.write('00000000000\0', 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A gzip stream of what `pieces` makes, for as long as somebody reads it. */
function endless(pieces: () => Generator<Buffer>): AsyncIterable<Buffer> {
  const gzip = createGzip({ level: 1 });
  const more = pieces();
  const write = (): void => {
    for (let next = more.next(); next.done !== true; next = more.next()) if (!gzip.write(next.value)) return;
    gzip.end();
  };
  gzip.on('drain', write);
  write();
  return gzip as AsyncIterable<Buffer>;
}

test('an archive that unpacks to more than the limit is refused before the file is written', async () => {
  const zeros = Buffer.alloc(1024 * 1024);
  const bomb = endless(function* () {
    yield header('small', 512);
    yield Buffer.alloc(512);
    yield header('bomb', 8 * 1024 ** 3 - 1);
    for (;;) yield zeros;
  });
  const error = await failure(bomb, { bytes: 50_000_000 });
  expect(error).toMatchObject({
    code: 'archive_invalid',
    message: 'the archive is refused: it unpacks to more than 50000000 bytes',
    hint: 'raise --basebackup-limit',
  });
  expect(isRetryable(error)).toBe(false);
  expect(readdirSync(dir)).toEqual(['small']);
});

test('many files that together unpack to more than the limit are refused', async () => {
  const file = Buffer.alloc(1024 * 1024);
  const error = await failure(
    endless(function* () {
      for (let at = 0; ; at++) {
        yield header(`file${at}`, file.length);
        yield file;
      }
    }),
    { bytes: 5_000_000 },
  );
  expect(error.message).toContain('more than 5000000 bytes');
  expect(readdirSync(dir).length).toBeLessThanOrEqual(5);
});

test('an archive of endlessly many empty files is refused', async () => {
  const error = await failure(
    endless(function* () {
      for (let at = 0; ; at++) yield header(`file${at}`, 0);
    }),
    { entries: 1000 },
  );
  expect(error).toMatchObject({ code: 'archive_invalid', hint: 'raise --basebackup-entries-limit' });
  expect(readdirSync(dir)).toHaveLength(1000);
});

test.each([
  [
    'zeros',
    'nothing but zeros',
    function* (): Generator<Buffer> {
      for (;;) yield Buffer.alloc(65_536);
    },
  ],
  [
    'long names',
    'extended headers are in front of one entry',
    function* (): Generator<Buffer> {
      for (;;) yield Buffer.concat([header('long', 40_000, 'L'), Buffer.alloc(40_448, 0x61)]);
    },
  ],
  [
    'pax headers',
    'extended headers are in front of one entry',
    function* (): Generator<Buffer> {
      const record = Buffer.from('18 path=some/name\n');
      for (;;)
        yield Buffer.concat([header('pax', record.length, 'x'), record, Buffer.alloc(512 - record.length)]);
    },
  ],
  [
    'global pax headers',
    'extended headers are in front of one entry',
    function* (): Generator<Buffer> {
      for (;;) yield header('pax', 0, 'g');
    },
  ],
  [
    'one name',
    'an extended header has 8589934591 bytes',
    function* (): Generator<Buffer> {
      yield header('long', 8 * 1024 ** 3 - 1, 'L');
      for (;;) yield Buffer.alloc(65_536, 0x61);
    },
  ],
])('an archive of endless %s is refused', async (_, why, pieces) => {
  const error = await failure(endless(pieces));
  expect(error).toMatchObject({ code: 'archive_invalid' });
  expect(causeChain(error).join(': ')).toContain(why);
  expect(readdirSync(dir)).toEqual([]);
});

test('a name that comes byte by byte is kept in little memory', () => {
  const reader = new TarReader({ begin() {}, data() {}, end() {} });
  const before = process.memoryUsage().heapUsed;
  reader.push(header('long', 60_000, 'L'));
  for (let at = 0; at < 59_999; at++) reader.push(Buffer.from('a'));
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64_000_000);
  expect(() => reader.push(header('long', 65_537, 'L'))).not.toThrow();
});

test('a file that does not fit into the file system is refused before it is written, and the pageserver is not blamed', async () => {
  const tooLarge = gzipSync(Buffer.concat([header('large', 2 ** 33 - 1), Buffer.alloc(512)]));
  const { bsize, bavail } = await import('node:fs').then(({ statfsSync }) => statfsSync(dir));
  const error = await failure(once(tooLarge), { reserveBytes: bsize * bavail });
  expect(error).toMatchObject({ code: 'pgdata_refused' });
  expect(error.message).toMatch(
    /^no space left on device \(ENOSPC\): unpacking the base backup into \S+ needs at least \d+ MB more, and \d+ MB are free$/,
  );
  expect(error.message).not.toContain('pageserver');
  expect(isRetryable(error)).toBe(false);
  expect(readdirSync(dir)).toEqual([]);
});

test('an honest archive is unpacked within the default limits', async () => {
  const archive = await makeTarball([{ name: 'a/b', body: 'content' }]);
  const { files } = await unpack(once(archive), { dir, gzip: true }, signal);
  expect(files).toBe(1);
  expect(statSync(join(dir, 'a/b')).size).toBe(7);
});
