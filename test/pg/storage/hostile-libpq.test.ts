import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkSafekeepers } from '../../../src/storage/safekeepers.ts';
import {
  authenticationOk,
  copyOutResponse,
  cstring,
  message,
  readyForQuery,
} from '../../../src/wire/messages.ts';
import { BackupFixture, failureOf, never } from '../../support/fake-storage-backup.ts';

const megabyte = 1024 * 1024;

let fixture: BackupFixture;
let server: Server | null = null;
const sockets = new Set<Socket>();
beforeEach(() => {
  fixture = new BackupFixture();
});
afterEach(async () => {
  server?.close();
  server = null;
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await fixture.stop();
});

/** A server that does this with each connection when the client has sent its start-up packet. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('data', () => serve(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The most that memory grows by while `work` runs. */
async function measured<T>(work: () => Promise<T>): Promise<{ result: T; grown: number }> {
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  try {
    const result = await work();
    return { result, grown: most - before };
  } finally {
    clearInterval(watch);
  }
}

/** How a base backup fails that this server answers. */
async function backup(serve: (socket: Socket) => void): Promise<{ said: string; grown: number }> {
  const port = await listen(serve);
  const { result: said, grown } = await measured(() =>
    failureOf(fixture.context([`postgresql://no_user@127.0.0.1:${port}`])),
  );
  expect(readdirSync(fixture.pgdata)).toEqual([]);
  return { said, grown };
}

const welcome = Buffer.concat([authenticationOk(), readyForQuery()]);

/** Logs the client in and does this at its command. */
const afterLogin =
  (serve: (socket: Socket) => void) =>
  (socket: Socket): void => {
    socket.write(welcome);
    socket.once('data', () => serve(socket));
  };

/** The head of a message that states `length` bytes. */
function head(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** `first`, then the same again and again for as long as somebody takes it. */
function endlessly(socket: Socket, bytes: Buffer, first: Buffer = Buffer.alloc(0)): void {
  socket.write(first);
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
}

const zeros = Buffer.alloc(65_536);

test.each([
  ['an authentication message', 'R'],
  ['a setting', 'S'],
  ['an error', 'E'],
  ['a notice', 'N'],
  ['a key', 'K'],
])('a log-in with %s of a megabyte is refused at once, by its length', async (_, type) => {
  const { said, grown } = await backup((socket) => endlessly(socket, zeros, head(type, megabyte)));
  expect(said).toContain('the server sent a message of 1048577 bytes, more than the limit of 65536 bytes');
  expect(grown).toBeLessThan(64 * megabyte);
});

test.each([
  ['a row', 'D', 0xffff_ffff],
  ['an error', 'E', 1024 * megabyte],
  ['a setting', 'S', 64 * megabyte],
  ['a piece of the archive', 'd', 0xffff_ffff],
])('an endless frame of a pageserver, %s, is refused by its length', async (_, type, length) => {
  const { said, grown } = await backup(
    afterLogin((socket) => endlessly(socket, zeros, Buffer.concat([copyOutResponse(), head(type, length)]))),
  );
  expect(said).toMatch(/more than the limit|damaged|took|terminated|nothing arrived/);
  expect(grown).toBeLessThan(64 * megabyte);
});

test.each([
  ['zero', 0],
  ['three', 3],
])('a frame of a pageserver that states a length of %s ends the connection', async (_, length) => {
  const { said } = await backup(
    afterLogin((socket) => socket.write(Buffer.concat([copyOutResponse(), head('d', length), zeros]))),
  );
  expect(said).toContain('wrong length');
});

test.each([
  ['notices', message('N', cstring('SNOTICE'), cstring(`M${'x'.repeat(1000)}`), Buffer.alloc(1))],
  ['settings', message('S', cstring('a'), cstring('b'.repeat(1000)))],
])('a pageserver that sends %s without an end instead of an archive is given up', async (_, bytes) => {
  const { said, grown } = await backup(
    afterLogin((socket) =>
      endlessly(socket, Buffer.concat(Array.from({ length: 50 }, () => bytes)), copyOutResponse()),
    ),
  );
  expect(said).toContain('nothing arrived for 500 ms');
  expect(grown).toBeLessThan(64 * megabyte);
});

test.each([
  ['a row of two gigabytes', head('D', 2 ** 31), zeros],
  ['rows without an end', Buffer.alloc(0), message('D', Buffer.from([0, 1, 0, 0, 0, 1, 0x61]))],
  ['notices without an end', Buffer.alloc(0), message('N', cstring('Mx'), Buffer.alloc(1))],
])('a safekeeper that answers with %s is one that did not answer', async (_, first, bytes) => {
  const columns = message('T', Buffer.from([0, 0]));
  const many = Buffer.concat(Array.from({ length: 1000 }, () => bytes));
  const port = await listen(afterLogin((socket) => endlessly(socket, many, Buffer.concat([columns, first]))));
  const { result, grown } = await measured(() =>
    checkSafekeepers(
      { safekeepers: [`127.0.0.1:${port}`], tenantId: 't', timelineId: 'l', token: null, answerMs: 2000 },
      never,
    ),
  );
  expect(result.verdict).toHaveProperty('unknown');
  expect(grown).toBeLessThan(64 * megabyte);
});
