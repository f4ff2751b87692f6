import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { probe } from '../../../src/monitor/probe.ts';
import { sqlState } from '../../../src/pg/client.ts';
import { authenticationOk, errorResponse, message, readyForQuery } from '../../../src/wire/messages.ts';

const never = new AbortController().signal;

/** Asks a server that sends these chunks, whatever it is told, and then hangs up. */
async function ask(chunks: readonly Uint8Array[], signal = never): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).resume();
    for (const chunk of chunks) socket.write(chunk);
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target = { host: '127.0.0.1', port, user: 'a', password: null, database: 'd', options: '' };
  try {
    return await probe(target, {
      applicationName: 'test',
      limitsMs: { connect: 2000, query: 2000 },
      onPhase: () => {},
      signal,
    });
  } finally {
    server.close();
  }
}

const welcome = Buffer.concat([authenticationOk(), message('S', Buffer.from('a\0b\0')), readyForQuery()]);
const reply = Buffer.concat([message('D', Buffer.from([0, 0])), readyForQuery()]);

test('a log-in and an answer are an answer, however they are cut into pieces', () =>
  fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(welcome.length + reply.length)), async (cuts) => {
      const bytes = Buffer.concat([welcome, reply]);
      const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(await ask(chunks)).toBe('answered');
    }),
    { numRuns: 20 },
  ));

test('a server that asks for a password is left to the driver', async () => {
  expect(await ask([message('R', Buffer.from([0, 0, 0, 10]))])).toBe('password');
});

test('what the server says goes into the error, with its SQLSTATE', async () => {
  const error: unknown = await ask([errorResponse('57P03', 'starting up')]).catch(
    (thrown: unknown) => thrown,
  );
  expect(sqlState(error)).toBe('57P03');
  expect(String((error as Error).cause)).toContain('starting up');
  const inQuery = await ask([welcome, errorResponse('53200', 'out of memory')]).catch(
    (thrown: unknown) => thrown,
  );
  expect(sqlState(inQuery)).toBe('53200');
});

test('whatever a stranger sends, the answer is an error and comes at once', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }),
      async (chunks) => {
        const result = await ask(chunks).catch((error: unknown) => error);
        expect(result === 'password' || result instanceof Error).toBe(true);
      },
    ),
    { numRuns: 30 },
  ));

test('a message above the limit ends it, before its bytes arrive', async () => {
  const huge = Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff]);
  await expect(ask([huge])).rejects.toMatchObject({
    cause: { message: 'the server sent a message of 2147483648 bytes, more than the limit of 65536 bytes' },
  });
  await expect(ask([welcome, huge])).rejects.toThrow('no answer from');
});

test.each([
  ['nothing', ''],
  ['a field without an end', 'Mfatal'],
  ['fields without an end', 'SFATAL\0Mfatal\0'],
])('an error that holds %s ends it; the parser would read on for ever', async (_, fields) => {
  for (const type of ['E', 'N']) {
    const error = message(type, Buffer.from(fields));
    await expect(ask([error])).rejects.toMatchObject({
      cause: { message: expect.stringContaining('does not end') as string },
    });
  }
});

test('notices and parameters on the way are not the answer', async () => {
  const notice = message('N', Buffer.from('SNOTICE\0Mhello\0\0'));
  expect(await ask([notice, welcome, notice, reply])).toBe('answered');
});

test('a message that no PostgreSQL server sends ends it', async () => {
  await expect(ask([message('!')])).rejects.toMatchObject({
    cause: { message: 'received invalid response: 21' },
  });
  await expect(ask([message('R', Buffer.from([0, 0, 0, 99]))])).rejects.toThrow('could not connect');
});

test('an abort ends it', async () => {
  await expect(ask([welcome], AbortSignal.abort())).rejects.toThrow('could not connect');
});
