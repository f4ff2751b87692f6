import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { text } from '../../../src/http/answer.ts';
import { route } from '../../../src/http/routes/route.ts';
import { eventually } from '../../support/program.ts';
import { exchange, withServer } from './support.ts';

const most = 20;
const limits = { connections: most };
/** A few of them are more than the kernel keeps for a connection. One for each connection is less than what the server keeps. */
const large = 'x'.repeat(2_500_000);

const plain = {
  method: 'GET',
  auth: 'none',
  summary: 'Answers at once.',
  reply: v.string(),
  contentType: 'text/plain',
  errors: [],
} as const;
const quick = route({ ...plain, path: '/quick', handler: () => text(200, 'yes', 'text/plain') });

const head = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

/** Twice as many connections as the server takes, unless it is said how many. */
async function crowd(
  port: number,
  send: string | ((at: number) => string),
  count = most * 2,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let at = 0; at < count; at++) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
    await once(socket, 'connect');
    const bytes = typeof send === 'string' ? send : send(at);
    if (bytes !== '') socket.write(bytes);
    sockets.push(socket);
  }
  return sockets;
}

const openOf = (sockets: readonly Socket[]): Socket[] => sockets.filter(({ destroyed }) => !destroyed);

test.each([
  ['idle connections', ''],
  ['heads that never end', 'GET /quick HTTP/1.1\r\nx: '],
  ['connections that are kept after their answer', head('/quick')],
  ['half a request after an answer', `${head('/quick')}GET`],
])('%s keep nobody out, and are no more than the limit', (_, bytes) =>
  withServer({ routes: [quick], limits }, async ({ port }) => {
    const sockets = await crowd(port, bytes);
    for (const socket of sockets) socket.resume();
    for (let times = 0; times < 5; times++)
      expect(await exchange(port, 'GET', '/quick')).toMatchObject({ status: 200 });
    await eventually('the others are closed', () => openOf(sockets).length <= most || undefined);
    for (const socket of sockets) socket.destroy();
  }),
);

test('clients that do not take their answers keep nobody out', () => {
  const served = new Set<string>();
  const much = route({
    ...plain,
    path: '/much',
    query: v.object({ by: v.string() }),
    handler: ({ query }) => {
      served.add(query.by);
      return text(200, large, 'text/plain');
    },
  });
  return withServer({ routes: [quick, much], limits }, async ({ port }) => {
    const sockets = await crowd(port, (at) => head(`/much?by=${at}`).repeat(12), most);
    await eventually('all of them', () => served.size === most || undefined);
    expect(await exchange(port, 'GET', '/quick')).toMatchObject({ status: 200 });
    for (const socket of sockets) socket.destroy();
  });
});

test('a request that is worked on keeps its connection while idle ones come and go', () => {
  let release: (() => void) | undefined;
  const slow = route({
    ...quick,
    path: '/slow',
    handler: () => new Promise((resolve) => (release = () => resolve(text(200, 'done', 'text/plain')))),
  });
  return withServer({ routes: [quick, slow], limits }, async ({ port }) => {
    const asked = exchange(port, 'GET', '/slow');
    const done = await eventually('the request', () => release);
    const sockets = [...(await crowd(port, '')), ...(await crowd(port, head('/quick')))];
    done();
    expect(await asked).toMatchObject({ status: 200 });
    for (const socket of sockets) socket.destroy();
  });
});

test('when every connection is worked on, one more is closed', () => {
  const waiting: (() => void)[] = [];
  const slow = route({
    ...quick,
    path: '/slow',
    handler: () => new Promise((resolve) => waiting.push(() => resolve(text(200, 'yes', 'text/plain')))),
  });
  return withServer({ routes: [slow], limits }, async ({ port }) => {
    const asked = Array.from({ length: most }, () => exchange(port, 'GET', '/slow'));
    await eventually('all of them', () => waiting.length === most || undefined);
    await expect(exchange(port, 'GET', '/slow')).rejects.toMatchObject({ code: 'ECONNRESET' });
    for (const done of waiting) done();
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
  });
});
