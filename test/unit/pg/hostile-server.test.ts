import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { connectPg, destroyPg, withPg } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { receiveCopy } from '../../../src/storage/copy-out.ts';
import { authenticationOk, commandComplete, message, readyForQuery } from '../../../src/wire/messages.ts';

const { signal } = new AbortController();
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeAll(() => {
  process.on('uncaughtException', note).on('unhandledRejection', note);
});
afterAll(() => {
  process.off('uncaughtException', note).off('unhandledRejection', note);
});
beforeEach(() => unhandled.splice(0));

/** Runs `use` with the address of a server that does this with each connection. */
async function hostile<T>(
  serve: (socket: Socket) => void,
  use: (target: PgTarget) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await use({ host: '127.0.0.1', port, user: 'a', password: null, database: 'd', options: '' });
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
    // What a listener throws on a later turn must be thrown by now.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  }
}

/** Of the messages that a server may send. */
const types = 'R S K Z T D C E N G H d c 1 2 3 n s t A W I'.split(' ');

const welcome = Buffer.concat([authenticationOk(), readyForQuery()]);
const limits = { applicationName: 'test', connectMs: 1500, queryMs: 1500, signal };

/** Welcomes the client and sends these bytes when it asks something. */
const answers =
  (...bytes: readonly Buffer[]) =>
  (socket: Socket): void => {
    socket.once('data', () => {
      socket.write(welcome);
      socket.once('data', () => bytes.forEach((each) => socket.write(each)));
    });
  };

/** Sends the same again and again for as long as somebody reads. */
function endlessly(socket: Socket, bytes: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
}

const authentication = (method: number, rest = Buffer.alloc(0)): Buffer =>
  message('R', Buffer.from([0, 0, 0, method]), rest);

const failure = (target: PgTarget): Promise<Error> =>
  withPg(target, limits, (pg) => pg.query('select 1')).then(
    () => new Error('it succeeded'),
    (error: unknown) => error as Error,
  );

test.each([
  ['an authentication code that nobody knows', authentication(99)],
  ['GSSAPI', authentication(7)],
  ['an authentication without a code', message('R')],
  ['SCRAM out of order', authentication(11, Buffer.from('r=x,s=eA==,i=1'))],
  ['the end of SCRAM without its beginning', authentication(12, Buffer.from('v=eA=='))],
  ['a row without a query', Buffer.concat([welcome, message('D', Buffer.from([0, 1]))])],
  ['a row with a negative number of columns', message('D', Buffer.from([255, 255]))],
  ['an error without an end', message('E', Buffer.from('Mfatal'))],
  ['an answer to TLS that was not asked for', Buffer.from('N')],
  ['a message of no known type', message('!')],
])('a server that sends %s ends the connection, not the process', (_, bytes) =>
  hostile(
    (socket) => void socket.once('data', () => socket.write(bytes)),
    async (target) => {
      const startMs = performance.now();
      expect((await failure(target)).message).not.toBe('it succeeded');
      expect(performance.now() - startMs).toBeLessThan(10_000);
    },
  ),
);

test.each([
  ['in the clear', 3, ''],
  ['by MD5', 5, 'salt'],
  ['by SCRAM', 10, 'SCRAM-SHA-256\0\0'],
])(
  'a server that asks for a password %s where there is none ends the connection, not the process',
  (_, code, rest) =>
    hostile(
      (socket) =>
        void socket.once('data', () => {
          socket.write(authentication(code, Buffer.from(rest)));
          socket.once('data', (got) => {
            expect(got.toString('latin1')).not.toContain('secret of the environment');
            socket.end();
          });
        }),
      async (target) => {
        process.env['PGPASSWORD'] = 'secret of the environment';
        try {
          expect(await failure(target)).toMatchObject({ code: 'sql' });
        } finally {
          delete process.env['PGPASSWORD'];
        }
      },
    ),
);

test('a server that asks for a hundred SCRAM proofs at once is refused', () => {
  const ask = authentication(11, Buffer.from('r=x,s=eA==,i=100000'));
  return hostile(
    (socket) =>
      void socket.once('data', () => {
        socket.write(authentication(10, Buffer.from('SCRAM-SHA-256\0\0')));
        socket.once('data', () => socket.write(Buffer.concat(Array.from({ length: 100 }, () => ask))));
      }),
    async (target) => {
      const error = await failure({ ...target, password: new Secret('x') });
      expect(String(error.cause)).toContain('asks for authentication again');
    },
  );
});

test.each([
  ['rows', Buffer.concat([message('T', Buffer.from([0, 0])), message('D', Buffer.from([0, 0]))])],
  ['results', commandComplete('SELECT 1')],
  ['requests for a copy', message('G', Buffer.from([0, 0, 0]))],
])(
  'an endless answer of %s is over before it fills the memory',
  (_, bytes) =>
    hostile(
      (socket) =>
        void socket.once('data', () => {
          socket.write(welcome);
          socket.once('data', () =>
            endlessly(socket, Buffer.concat(Array.from({ length: 1000 }, () => bytes))),
          );
        }),
      async (target) => {
        const before = process.memoryUsage().rss;
        const error = await withPg(target, { ...limits, queryMs: 60_000 }, (pg) =>
          pg.query('select 1'),
        ).catch((thrown: unknown) => thrown as Error);
        expect(String((error as Error).message)).toContain('takes more than the limit');
        expect(process.memoryUsage().rss - before).toBeLessThan(700_000_000);
      },
    ),
  60_000,
);

test('a message of 4 GB is refused by its head, and the connection is closed', () => {
  const huge = Buffer.from([0x44, 0xff, 0xff, 0xff, 0xf0]);
  let closed: Promise<unknown> = Promise.resolve();
  return hostile(
    (socket) => {
      closed = once(socket, 'close');
      answers(huge)(socket);
    },
    async (target) => {
      expect((await failure(target)).message).toBe(
        'the server sent a message of 4294967281 bytes, more than the limit of 67108864 bytes',
      );
      await closed;
    },
  );
});

test.each([
  ['before the log-in', null],
  ['in answer to a query', welcome],
])('a flood of notices %s ends with the limit, and the process goes on meanwhile', (_, first) => {
  const notice = message('N', Buffer.from(`SNOTICE\0M${'x'.repeat(500)}\0\0`));
  const flood = Buffer.concat(Array.from({ length: 100 }, () => notice));
  return hostile(
    (socket) =>
      void socket.once('data', () => {
        if (first === null) endlessly(socket, flood);
        else {
          socket.write(first);
          socket.once('data', () => endlessly(socket, flood));
        }
      }),
    async (target) => {
      let turns = 0;
      const beat = setInterval(() => turns++, 20);
      const before = process.memoryUsage().rss;
      try {
        const error = await failure(target);
        expect(`${error.message} ${String(error.cause)}`).toMatch(/timeout/);
      } finally {
        clearInterval(beat);
      }
      expect(turns).toBeGreaterThan(5);
      expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000);
    },
  );
});

test('a server that never hangs up does not hold up who says goodbye', () =>
  hostile(answers(Buffer.concat([commandComplete('SELECT 0'), readyForQuery()])), async (target) => {
    const startMs = performance.now();
    await withPg(target, limits, (pg) => pg.query('select 1'));
    expect(performance.now() - startMs).toBeLessThan(10_000);
  }));

test('a copy whose messages have a wrong length breaks off, where it was read for ever', () => {
  const copy = message('H', Buffer.from([0, 0, 0]));
  return hostile(answers(copy, Buffer.from([0x64, 0, 0, 0, 0, 1, 2, 3])), async (target) => {
    const client = await connectPg(target, limits);
    const read = async (): Promise<void> => {
      const { chunks } = await receiveCopy(client, 'basebackup', 1000, signal);
      for await (const chunk of chunks) expect(chunk).toBeDefined();
    };
    await expect(read()).rejects.toThrow();
    destroyPg(client);
  });
});

test(
  'whatever a stranger sends in answer to a log-in or a query, the answer is an error or a result, in time',
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(
          fc.oneof(
            fc.uint8Array({ minLength: 1, maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
            fc
              .tuple(fc.constantFrom(...types), fc.uint8Array({ maxLength: 30 }))
              .map(([type, body]) => message(type, Buffer.from(body))),
          ),
          { maxLength: 6 },
        ),
        (early, pieces) =>
          hostile(
            (socket) =>
              void socket.once('data', () => {
                if (!early) socket.write(welcome);
                const send = (): void => {
                  for (const piece of pieces) socket.write(piece);
                  socket.end();
                };
                if (early) send();
                else socket.once('data', send);
              }),
            async (target) => void (await failure(target)),
          ),
      ),
      { numRuns: 150 },
    ),
  60_000,
);
