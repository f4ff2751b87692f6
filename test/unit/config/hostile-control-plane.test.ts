import { once } from 'node:events';
import { type RequestListener, createServer as createHttp } from 'node:http';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { pullConfig } from '../../../src/config/control-plane.ts';
import { causeChain } from '../../../src/core/errors.ts';

const megabyte = 1024 * 1024;

interface Failure {
  readonly said: string;
  /** Bytes of memory at the most, more than before. */
  readonly grown: number;
}

async function failure(port: number, timeoutMs = 20_000): Promise<Failure> {
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  try {
    await pullConfig({
      baseUrl: `http://127.0.0.1:${port}`,
      computeId: 'c',
      timeoutMs,
      signal: new AbortController().signal,
      env: {},
      token: new Secret('t'),
      onAttempt: () => {},
    });
  } catch (error) {
    return { said: causeChain(error).join(': '), grown: most - before };
  } finally {
    clearInterval(watch);
  }
  throw new Error('it was taken');
}

/** How the pull fails from a server that answers like this. */
async function fromHttp(answer: RequestListener, timeoutMs?: number): Promise<Failure> {
  const server = createHttp(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await failure((server.address() as AddressInfo).port, timeoutMs);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The same for bytes that are not made by an HTTP server. */
async function fromBytes(serve: (socket: Socket) => void, timeoutMs?: number): Promise<Failure> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('data', () => serve(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await failure((server.address() as AddressInfo).port, timeoutMs);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function endlessly(to: NodeJS.WritableStream & { destroyed?: boolean }, bytes: Buffer): void {
  const more = (): void => {
    while (to.destroyed !== true && to.write(bytes));
  };
  to.on('drain', more);
  more();
}

test('a control plane whose answer does not end is given up at 16 MB', async () => {
  const { said, grown } = await fromHttp((_, answer) => endlessly(answer, Buffer.alloc(65_536, 0x20)));
  expect(said).toContain('the body of the answer exceeds 16777216 bytes');
  expect(grown).toBeLessThan(96 * megabyte);
}, 30_000);

test('a control plane that announces too large an answer is refused before it arrives', async () => {
  const { said, grown } = await fromHttp((_, answer) => {
    answer.writeHead(200, { 'content-length': String(2 ** 40) });
    answer.write(' ');
  });
  expect(said).toContain('the body of the answer exceeds 16777216 bytes');
  expect(grown).toBeLessThan(32 * megabyte);
});

test('a control plane that redirects is not followed', async () => {
  let asked = 0;
  const { said } = await fromHttp((_, answer) => {
    asked++;
    answer.writeHead(302, { location: '/compute/api/v2/computes/c/spec' }).end();
  });
  expect(said).toContain('unexpected control plane response status code: 302 Found');
  expect(asked).toBe(1);
});

test('a control plane that sends headers, or informational answers, without an end is given up', async () => {
  const start = 'HTTP/1.1 200 OK\r\n';
  const headers = await fromBytes((socket) => {
    socket.write(start);
    endlessly(socket, Buffer.from(`x-header: ${'y'.repeat(1000)}\r\n`.repeat(50)));
  });
  expect(headers.said).toContain('could not reach the control plane');
  expect(headers.grown).toBeLessThan(64 * megabyte);
  const informed = await fromBytes(
    (socket) => endlessly(socket, Buffer.from('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000))),
    300,
  );
  expect(informed.said).toContain('the request took longer than 300 ms');
  expect(informed.grown).toBeLessThan(128 * megabyte);
}, 30_000);

test('an answer that is nested without an end is refused, not walked', async () => {
  const { said } = await fromHttp((_, answer) => void answer.end('['.repeat(5 * megabyte)));
  expect(said).toContain('could not deserialize control plane response');
}, 60_000);
