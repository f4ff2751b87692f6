import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { text } from '../../../src/http/answer.ts';
import { route } from '../../../src/http/routes/route.ts';
import { eventually } from '../../support/program.ts';
import { exchange, withServer } from './support.ts';

const megabyte = 'x'.repeat(1_000_000);

/** A route with answers larger than what the kernel keeps for a connection. */
function large(bytes = megabyte.length * 8) {
  const seen = { asked: 0 };
  const body = megabyte.repeat(bytes / megabyte.length);
  const it = route({
    method: 'GET',
    path: '/large',
    auth: 'none',
    quiet: true,
    summary: 'Much.',
    reply: v.string(),
    contentType: 'text/plain',
    errors: [],
    handler: () => {
      seen.asked++;
      return text(200, body, 'text/plain');
    },
  });
  return { seen, route: it };
}

const small = route({
  method: 'GET',
  path: '/small',
  auth: 'none',
  summary: 'Little.',
  reply: v.string(),
  contentType: 'text/plain',
  errors: [],
  handler: () => text(200, 'yes', 'text/plain'),
});

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

/** Writes as much as the server takes, and reads nothing. */
async function unread(port: number, bytes: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

const settled = async (server: () => Promise<unknown>): Promise<void> => {
  // Each round trip lets the server take what has arrived.
  for (let times = 0; times < 20; times++) await server();
};

test('1600 pipelined requests that nobody reads are answered one at a time', () => {
  const { seen, route: it } = large();
  return withServer({ routes: [it, small] }, async ({ port, send }) => {
    const socket = await unread(port, request('/large').repeat(1600));
    await eventually('the first is asked', () => seen.asked > 0 || undefined);
    await settled(() => send('GET', '/small'));
    expect(seen.asked).toBe(1);
    socket.destroy();
  });
});

test(
  'a connection with too many requests waiting is not read on, and goes on when its answers are taken',
  () =>
    withServer({ routes: [large().route, small] }, async ({ port, send }) => {
      const rest = 5000;
      const socket = await unread(port, request('/large') + request('/small').repeat(rest));
      await settled(() => send('GET', '/small'));
      // The kernel of each side keeps some; far from all.
      let answers = 0;
      let tail = '';
      socket.setEncoding('latin1').on('data', (text: string) => {
        const all = tail + text;
        answers += all.split('HTTP/1.1 200 OK').length - 1;
        tail = all.slice(-14);
      });
      await eventually('all answers', () => answers >= rest + 1 || undefined, 60_000);
      expect(answers).toBe(rest + 1);
      socket.destroy();
    }),
  60_000,
);

test('pipelined requests are answered in their order, whatever their bodies', () =>
  withServer({ routes: [small] }, async ({ port }) => {
    const socket = await unread(
      port,
      request('/small') +
        request('/nowhere') +
        `POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello`,
    );
    socket.write(request('/small').replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    await once(socket, 'close');
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 404',
      'HTTP/1.1 405',
      'HTTP/1.1 200',
    ]);
  }));

test('a client that takes nothing of its answer is cut off after a while, one that is worked for is not', () => {
  const { route: it } = large();
  let finish = (): void => {};
  const slow = route({
    ...small,
    path: '/slow',
    handler: () => new Promise<string>((resolve) => (finish = () => resolve('done'))),
  });
  return withServer({ routes: [it, slow], limits: { unreadMs: 300 } }, async ({ port, server, lines }) => {
    const asked = exchange(port, 'GET', '/slow');
    const socket = await unread(port, request('/large').repeat(3));
    await eventually(
      'it is cut',
      () => lines.some((line) => line.includes('/large: client disconnected')) || undefined,
    );
    await eventually('the other is open', () => lines.some((line) => line.includes('/slow')) || undefined);
    finish();
    expect((await asked).body).toBe('done');
    socket.destroy();
    await server.close(1000);
  });
});

test('many clients that take nothing of their answers do not add up', () => {
  const { route: it } = large(megabyte.length * 20);
  return withServer({ routes: [it, small] }, async ({ port, send }) => {
    const sockets = await Promise.all(Array.from({ length: 3 }, () => unread(port, request('/large'))));
    await settled(() => send('GET', '/small'));
    const reply = await exchange(port, 'GET', '/large');
    expect(reply).toMatchObject({ status: 503 });
    expect(reply.body).toContain('too many clients do not take their answers');
    for (const socket of sockets) socket.destroy();
    await eventually('there is room again', async () =>
      (await exchange(port, 'GET', '/large')).status === 200 ? true : undefined,
    );
  });
});
