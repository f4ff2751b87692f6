import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { cstring, message } from '../../../src/wire/messages.ts';
import { WireError, type WireLimits, type WireServer, serveWire } from '../../../src/wire/server.ts';
import { eventually } from '../../support/program.ts';
import { converse, leave, parse, query, startup, sync, untyped } from './conversation.ts';

const opened: WireServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(opened.splice(0).map((server) => server.close(AbortSignal.abort())));
});

/** A server that asks for the password `sesame`. */
async function open(limits: Partial<WireLimits> = {}): Promise<number> {
  const server = serveWire({
    limits,
    password: async (token) => (token === 'sesame' ? null : new WireError('28P01', 'no')),
    onQuery: (session, text) => session.rows(['length'], [[String(text.length)]], 'SELECT 1'),
  });
  opened.push(server);
  return (await server.listen(0, '127.0.0.1')).port;
}

const password = message('p', cstring('sesame'));

async function silent(port: number, bytes?: Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  sockets.push(socket);
  await once(socket, 'connect');
  if (bytes !== undefined) socket.write(bytes);
  return socket;
}

test('connections that never log in keep nobody out', async () => {
  const port = await open({ joining: 5, handshakeMs: 60_000 });
  const idle: Socket[] = [];
  for (let at = 0; at < 50; at++) idle.push((await silent(port)).resume());
  expect(await converse(port, startup(), password, query('abc'), leave)).toContain('dataRow 3');
  await eventually('the oldest are closed', () =>
    idle.filter((socket) => socket.closed).length >= 45 ? true : undefined,
  );
});

test('one more client than may be logged in is refused in words, and let in when one has left', async () => {
  const port = await open({ loggedIn: 2 });
  const first = await silent(port, Buffer.concat([startup(), password]));
  await once(first, 'data');
  const second = await silent(port, Buffer.concat([startup(), password]));
  await once(second, 'data');
  await eventually('both are logged in', async () =>
    (await converse(port, startup(), password, leave)).includes('error 53300: too many clients already')
      ? true
      : undefined,
  );
  first.destroy();
  await eventually('there is room', async () =>
    (await converse(port, startup(), password, query('abc'), leave)).includes('dataRow 3') ? true : undefined,
  );
});

test.each([
  ['a start-up packet', untyped(Buffer.alloc(10_001))],
  ['a start-up packet that states two gigabytes', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
  ['a start-up packet that states less than its own length', Buffer.from([0, 0, 0, 3])],
  ['a password', Buffer.concat([startup(), message('p', Buffer.alloc(10_001))])],
  [
    'a password that states four gigabytes',
    Buffer.concat([startup(), Buffer.from([0x70, 0xff, 0xff, 0xff, 0xff])]),
  ],
])('%s that is too large is refused at its length, not collected', async (_, bytes) => {
  const port = await open();
  const said = await converse(port, bytes);
  expect(said.at(-1)).toMatch(/^error 08P01: invalid message of \d+ bytes$/);
});

test('a client without a log-in is not read on when it sends more than a start-up packet', async () => {
  const port = await open({ handshakeMs: 60_000 });
  // The packet is never complete; what comes behind it is left to the kernel.
  const socket = await silent(port, Buffer.from([0, 0, 0x27, 0x0f]));
  let taken = 0;
  const flood = Buffer.alloc(64 * 1024 * 1024, 0x61);
  socket.write(flood, () => (taken = flood.length));
  const said = await new Promise<string>((resolve) =>
    socket.once('data', (bytes) => resolve(bytes.toString('latin1'))).once('close', () => resolve('')),
  );
  expect(taken).toBe(0);
  expect(said).not.toContain('AuthenticationOk');
});

test('prepared statements of one client take no more than their limit', async () => {
  const port = await open({ maxMessageBytes: 1 << 20 });
  const large = 'x'.repeat(900_000);
  const many = Array.from({ length: 6 }, (_, at) => [parse(`s${at}`, large), sync]).flat();
  const said = await converse(port, startup(), password, ...many, leave);
  expect(said.filter((line) => line === 'parseComplete')).toHaveLength(4);
  expect(said).toContain('error 54000: the prepared statements are too large');
  const again = Array.from({ length: 20 }, () => [parse('', large), sync]).flat();
  expect(
    (await converse(port, startup(), password, ...again, leave)).filter((line) => line === 'parseComplete'),
  ).toHaveLength(20);
});
