import { EventEmitter, once } from 'node:events';
import { type Socket, connect } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPg, withPg } from '../../../src/pg/client.ts';
import { cstring, message } from '../../../src/wire/messages.ts';
import { WireError, type WireOptions, type WireServer, serveWire } from '../../../src/wire/server.ts';
import { eventually } from '../../support/program.ts';

const never = new AbortController().signal;

async function* megabytes(count: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < count; at++) yield Buffer.alloc(1 << 20, at);
}

const handlers: WireOptions = {
  async onQuery(session, text) {
    if (text === 'boom') throw new WireError('55000', 'no way');
    if (text === 'defect') throw new Error('outer', { cause: new Error('inner') });
    if (text === 'mute') return;
    if (text === 'hang') {
      await once(session.signal, 'abort');
      return;
    }
    if (text.startsWith('copy')) return session.copyOut(megabytes(4), 'COPY 1');
    await session.rows(['text', 'nothing'], [[text, null]], 'SELECT 1');
  },
  columns: (text) => (text.startsWith('echo') ? ['text', 'nothing'] : null),
  limits: { handshakeMs: 300, idleMs: 2000, stallMs: 300, maxMessageBytes: 5000 },
};

const opened: WireServer[] = [];
let port = 0;

async function open(options: WireOptions): Promise<number> {
  const server = serveWire(options);
  opened.push(server);
  return (await server.listen(0, '127.0.0.1')).port;
}

beforeAll(async () => {
  port = await open(handlers);
});
afterAll(async () => {
  await Promise.all(opened.map((server) => server.close(AbortSignal.abort())));
});

const target = (port: number, password: null = null) => ({
  host: '127.0.0.1',
  port,
  user: 'no_user',
  password,
  database: 'db',
  options: '',
});
const options = { applicationName: 'test', connectMs: 2000, queryMs: 3000, signal: never };

const startup = (): Buffer => {
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), ...['user', 'me', ''].map(cstring)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
};

/** Everything the server sends until it closes. */
async function until(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(chunks);
}

test('simple statements get rows, NULL included', async () => {
  const { rows } = await withPg(target(port), options, (pg) => pg.query('hello'));
  expect(rows).toEqual([{ text: 'hello', nothing: null }]);
});

test('described statements get rows over the extended protocol', async () => {
  const result = await withPg(target(port), options, (pg) =>
    pg.query({ text: 'echo this', name: 'one', values: [] }),
  );
  expect(result.rows).toEqual([{ text: 'echo this', nothing: null }]);
});

test.each([
  ['boom', '55000', 'no way'],
  ['defect', 'XX000', 'outer: inner'],
  ['mute', 'XX000', 'the statement was not answered'],
])('the failure of %j reaches the client and the session goes on', async (text, code, message) => {
  await withPg(target(port), options, async (pg) => {
    await expect(pg.query(text)).rejects.toMatchObject({ code, message });
    await expect(pg.query({ text, name: text })).rejects.toMatchObject({ code, message });
    expect((await pg.query('again')).rows[0]).toMatchObject({ text: 'again' });
  });
});

test('a wrong password is refused in the words of the handler', async () => {
  const guarded = await open({
    ...handlers,
    password: async (token) => (token === 'right' ? null : new WireError('XX000', 'wrong token')),
  });
  await expect(connectPg(target(guarded), options)).rejects.toMatchObject({
    cause: { code: 'XX000', message: 'wrong token' },
  });
});

test('encryption requests are answered with N, a third one ends the connection', async () => {
  const socket = connect(port, '127.0.0.1');
  const ssl = Buffer.from('0000000804d2162f', 'hex');
  socket.write(Buffer.concat([ssl, ssl, ssl]));
  expect((await until(socket)).toString('latin1')).toMatch(/^NNNE.*08P01/s);
});

test('a client that says nothing is dropped', async () => {
  expect(await until(connect(port, '127.0.0.1'))).toHaveLength(0);
});

test('a client that never reads its answer is dropped', async () => {
  const ended = new EventEmitter();
  const dropped = once(ended, 'dropped');
  const stalling = await open({
    ...handlers,
    async onQuery(session) {
      session.signal.addEventListener('abort', () => ended.emit('dropped'));
      await session.copyOut(megabytes(1000), 'COPY 1');
    },
  });
  const socket = connect(stalling, '127.0.0.1').on('error', () => {});
  socket.write(Buffer.concat([startup(), message('Q', cstring('copy'))]));
  socket.pause();
  await expect(dropped).resolves.toEqual([]);
  socket.destroy();
});

test('closing cuts a hanging statement and tells its handler', async () => {
  const server = serveWire(handlers);
  const { port } = await server.listen(0, '127.0.0.1');
  const pg = await connectPg(target(port), options);
  const hanging = pg.query('hang').catch((error: unknown) => error);
  await server.close(AbortSignal.timeout(50));
  expect(await hanging).toBeInstanceOf(Error);
});

test('whatever bytes a client sends, the server closes or answers and serves the next one', async () => {
  const short = await open({ ...handlers, limits: { handshakeMs: 50, idleMs: 50, maxMessageBytes: 5000 } });
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const statement = fc.constantFrom('Q', 'P', 'B', 'D', 'E', 'S', 'C', 'H', 'd', 'c', 'f', 'p', 'F');
  const text = fc.constantFrom('', 'x\0', 'echo\0\0', '\0\0\0\0', 'Sx\0', 'P\0', 'boom\0', 'x\0echo\0');
  const body = fc.oneof(
    text.map((text) => Buffer.from(text)),
    bytes,
  );
  const framed = fc.tuple(statement, body).map(([type, body]) => message(type, body));
  const input = fc.tuple(fc.boolean(), fc.array(fc.oneof(framed, bytes), { minLength: 1, maxLength: 8 }));
  await fc.assert(
    fc.asyncProperty(input, async ([loggedIn, pieces]) => {
      const socket = connect(short, '127.0.0.1');
      const all = until(socket);
      socket.write(Buffer.concat([...(loggedIn ? [startup()] : []), ...pieces, message('X')]));
      await all;
    }),
    { numRuns: 100 },
  );
  // On a busy machine a log-in may take longer than this server allows.
  const served = eventually('the next client is served', async () => {
    const { rows } = await withPg(target(short), options, (pg) => pg.query('still here'));
    return rows.length;
  });
  expect(await served).toBe(1);
});
