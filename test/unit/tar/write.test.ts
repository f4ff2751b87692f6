import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { expect, test } from 'vitest';
import { type TarEntry, writeTar } from '../../../src/tar/write.ts';

const entry = (name: string, bytes: number, chunks: AsyncIterable<Buffer>): TarEntry => ({
  name,
  mode: 0o600,
  mtime: new Date(0),
  content: { bytes, chunks },
});
const block = Buffer.alloc(10_000, 'a');

async function* breaksOff(after: number): AsyncGenerator<Buffer> {
  for (let each = 0; each < after; each++) yield block;
  throw new Error('Postgres was killed');
}

const drain = async (archive: AsyncIterable<Buffer>): Promise<void> => {
  for await (const _ of archive);
};

// An error outside any test fails the run: the sink of the library once raised what its callback had told already.
test.each([0, 1, 5, 30])(
  'an entry that breaks off after %i chunks fails the archive, and nothing else',
  async (n) => {
    const archive = writeTar([
      entry('whole', 1000, Readable.from([Buffer.alloc(1000)])),
      entry('cut', 1e6, breaksOff(n)),
    ]);
    await expect(drain(archive)).rejects.toThrow('Postgres was killed');
  },
);

test('an archive that ends in the middle of an entry fails the one that is made of it', async () => {
  const parser = extract();
  const source = Readable.from(writeTar([entry('whole', 300_000, Readable.from(Array(30).fill(block)))]));
  async function* half(): AsyncGenerator<Buffer> {
    let left = 100_000;
    for await (const chunk of source) {
      yield (chunk as Buffer).subarray(0, left);
      if ((left -= (chunk as Buffer).length) <= 0) return;
    }
  }
  async function* entries(): AsyncGenerator<TarEntry> {
    for await (const one of parser)
      yield entry(one.header.name, one.header.size ?? 0, one as AsyncIterable<Buffer>);
  }
  const parsed = pipeline(half(), parser).catch((error: Error) => parser.destroy(error));
  await expect(drain(writeTar(entries()))).rejects.toThrow('Unexpected end of data');
  await parsed;
});

test('a reader that leaves early ends the writing', async () => {
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) yield block;
  }
  for await (const _ of writeTar([entry('long', 1e12, endless())])) break;
});
