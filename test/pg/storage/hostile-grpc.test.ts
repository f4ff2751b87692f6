import { once } from 'node:events';
import { type Http2Server, type ServerHttp2Stream, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BackupFixture, failureOf } from '../../support/fake-storage-backup.ts';

const megabyte = 1024 * 1024;

let fixture: BackupFixture;
let server: Http2Server | null = null;
beforeEach(() => {
  fixture = new BackupFixture();
});
afterEach(async () => {
  server?.close();
  server = null;
  await fixture.stop();
});

/** How the fetch from a server fails that answers each call like this, and by how much the memory grew. */
async function failure(
  answer: (stream: ServerHttp2Stream) => void,
): Promise<{ said: string; grown: number }> {
  server = createServer({ maxSendHeaderBlockLength: 64 * megabyte });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  try {
    const said = await failureOf(fixture.context([`grpc://no_user@127.0.0.1:${port}`]));
    return { said, grown: most - before };
  } finally {
    clearInterval(watch);
  }
}

const begin = (stream: ServerHttp2Stream, more: Record<string, string> = {}): void =>
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...more });

/** The same again and again for as long as somebody takes it. */
function endlessly(stream: ServerHttp2Stream, bytes: Buffer): void {
  const more = (): void => {
    while (!stream.destroyed && stream.write(bytes));
  };
  stream.on('drain', more);
  more();
}

/** The head of a message. @param compressed 0 or 1 */
function head(length: number, compressed = 0): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(compressed, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

test.each([
  ['four gigabytes', 0xffff_ffff],
  ['a little more than the limit', 4 * megabyte + 1],
])('a pageserver that announces a message of %s over gRPC is refused by its length', async (_, length) => {
  const { said, grown } = await failure((stream) => {
    begin(stream);
    stream.write(head(length));
    endlessly(stream, Buffer.alloc(65_536));
  });
  expect(said).toContain('Received message larger than max');
  expect(grown).toBeLessThan(64 * megabyte);
  expect(readdirSync(fixture.pgdata)).toEqual([]);
});

test('a compressed message of gRPC that unpacks to a gigabyte is refused', async () => {
  const bomb = gzipSync(Buffer.alloc(512 * megabyte));
  const { said, grown } = await failure((stream) => {
    begin(stream, { 'grpc-encoding': 'gzip' });
    stream.write(Buffer.concat([head(bomb.length, 1), bomb]));
  });
  expect(said).toMatch(
    /Received message that decompresses to a size larger|larger than max|RESOURCE_EXHAUSTED/i,
  );
  expect(grown).toBeLessThan(64 * megabyte);
});

test('a pageserver that answers with endless metadata over gRPC is given up', async () => {
  const { said, grown } = await failure((stream) => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`x-${at}`, 'y'.repeat(1000)]));
    try {
      begin(stream, many);
    } catch {
      stream.close();
    }
  });
  expect(said).toMatch(/127\.0\.0\.1/);
  expect(grown).toBeLessThan(64 * megabyte);
});

test('messages of gRPC that hold nothing, without an end, are no base backup', async () => {
  const { said, grown } = await failure((stream) => {
    begin(stream);
    endlessly(stream, Buffer.concat(Array.from({ length: 1000 }, () => head(0))));
  });
  expect(said).toMatch(/nothing arrived for 500 ms/);
  expect(grown).toBeLessThan(96 * megabyte);
}, 30_000);
