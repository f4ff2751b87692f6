import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { TarReader } from '../../../src/tar/read.ts';
import { TarError } from '../../../src/tar/tar-error.ts';
import { makeTarball } from '../../support/fake-storage.ts';

interface Seen {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly linkName: string;
  body: string;
}

/** Reads an archive in pieces of the given sizes. */
function read(archive: Buffer, sizes: readonly number[] = [archive.length]): Seen[] {
  const seen: Seen[] = [];
  const open = { count: 0 };
  const reader = new TarReader({
    begin: ({ name, type, mode, linkName }) => {
      open.count++;
      seen.push({ name, type, mode, linkName, body: '' });
    },
    data: (piece) => {
      const last = seen.at(-1) as Seen;
      last.body += piece.toString('latin1');
    },
    end: () => open.count--,
  });
  for (let at = 0, turn = 0; at < archive.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    reader.push(archive.subarray(at, at + size));
    at += size;
  }
  reader.end();
  expect(open.count).toBe(0);
  return seen;
}

/** What reading throws, null when it does not. */
function outcome(archive: Buffer, sizes?: readonly number[]): unknown {
  try {
    read(archive, sizes);
    return null;
  } catch (error) {
    return error;
  }
}

const name = fc
  .array(fc.string({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join('/').replaceAll('\0', '').replaceAll(/\/+$/g, ''))
  .filter((name) => name !== '');
const sizes = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 6 });

test('names of any length and content of any size come out as they went in, however the stream is cut', async () => {
  const entry = fc.record({ name, body: fc.string({ maxLength: 1200, unit: 'grapheme-ascii' }) });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 6 }), sizes, async (entries, sizes) => {
      const archive = await makeTarball(entries, { gzip: false });
      expect(read(archive, sizes).map(({ name, body }) => ({ name, body }))).toEqual(entries);
    }),
    { numRuns: 60 },
  );
});

test.each(['gnu', 'posix', 'ustar'])('archives of tar in the format %s are read', (format) => {
  const dir = mkdtempSync(join(tmpdir(), 'tar-'));
  const long = `${'d'.repeat(60)}/${'e'.repeat(60)}/${'f'.repeat(60)}`;
  try {
    mkdirSync(join(dir, long), { recursive: true });
    writeFileSync(join(dir, long, 'file'), 'content');
    execFileSync('ln', ['-s', `/${'t'.repeat(90)}`, join(dir, 'link')]);
    const archive = execFileSync('tar', [`--format=${format}`, '-C', dir, '-cf', '-', '.']);
    const seen = read(archive);
    expect(seen.find(({ type }) => type === 'file')).toMatchObject({
      name: `./${long}/file`,
      body: 'content',
    });
    expect(seen.find(({ type }) => type === 'symlink')).toMatchObject({ linkName: `/${'t'.repeat(90)}` });
    expect(seen.some(({ name, type }) => type === 'directory' && name === `./${long}/`)).toBe(true);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const simple = (): Promise<Buffer> =>
  makeTarball(
    [
      { name: 'a', body: 'x'.repeat(600) },
      { name: 'b', body: 'y' },
    ],
    { gzip: false },
  );

test('reading goes on past zero blocks', async () => {
  const archive = await simple();
  const seen = read(Buffer.concat([archive, Buffer.alloc(4096), archive]));
  expect(seen.map(({ name }) => name)).toEqual(['a', 'b', 'a', 'b']);
});

test('an archive that ends between two entries is complete', async () => {
  const archive = await simple();
  expect(read(archive.subarray(0, 512 + 1024))).toHaveLength(1);
});

test('an archive cut off inside a header, content or padding is refused', async () => {
  const archive = await simple();
  for (const at of [1, 511, 600, 512 + 600, 512 + 1023, 512 + 1024 + 5]) {
    expect(() => read(archive.subarray(0, at))).toThrow('the archive is cut off');
  }
});

test('a block of garbage after the end is refused', async () => {
  const archive = await simple();
  expect(() => read(Buffer.concat([archive, Buffer.alloc(512, 7)]))).toThrow(TarError);
});

test('one flipped bit in a header is noticed', async () => {
  const archive = await makeTarball([{ name: 'a' }], { gzip: false });
  const checksum = (bit: number): boolean => bit >= 148 * 8 && bit < 156 * 8;
  const bits = Array.from({ length: 512 * 8 }, (_, bit) => bit).filter((bit) => !checksum(bit));
  const unnoticed = bits.filter((bit) => {
    const broken = Buffer.from(archive);
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return !(outcome(broken) instanceof TarError);
  });
  expect(unnoticed).toEqual([]);
});

/** A header whose checksum is right, whatever else is in it. */
function sealed(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

test('headers of garbage with a right checksum are read or refused, never anything else', () => {
  const header = fc.uint8Array({ minLength: 512, maxLength: 512 }).map((bytes) => Buffer.from(bytes));
  const size = fc.constantFrom(
    '00000000000\0',
    '00000001000\0',
    '\x80\0\0\0\0\0\0\0\0\0\0\x05',
    '-1\0',
    '99999999999\0',
  );
  const type = fc.constantFrom('0', '1', '2', '5', 'x', 'g', 'L', 'K', 'S', '\0');
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 1024 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom('12 path=abc\n', '9999999 path=a\n', '0 x=1\n', '20 size=99999999999\n', ' =\n')
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(header, size, type, body, sizes, (header, size, type, body, sizes) => {
      header.write(size, 124, 'latin1');
      header.write('0000600\0', 100, 'latin1');
      header.write('00000000000\0', 136, 'latin1');
      header.write(type, 156, 'latin1');
      const archive = Buffer.concat([
        sealed(header),
        body,
        Buffer.alloc(1024 - body.length),
        Buffer.alloc(1024),
      ]);
      expect(outcome(archive, sizes) ?? new TarError('none')).toBeInstanceOf(TarError);
    }),
    { numRuns: 500, endOnFailure: true },
  );
});

test('a pax header without a further blank once made the reader go round for ever', async () => {
  const header = Buffer.alloc(512);
  header.write('00000001000\0', 124, 'latin1');
  header.write('x', 156);
  const body = Buffer.concat([Buffer.from('12 path=abc\n'), Buffer.alloc(500, 'x')]);
  expect(() => read(Buffer.concat([sealed(header), body]))).toThrow('a pax header is malformed');
});

test('a size beyond what numbers can hold is refused', () => {
  const header = Buffer.alloc(512);
  header.write('big');
  header.fill(0xff, 124, 136);
  expect(() => read(sealed(header))).toThrow('too large');
});
