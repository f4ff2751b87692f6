import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { noAuth } from '../../../src/http/auth.ts';
import { type RunningServer, startServer } from '../../../src/http/server.ts';
import { eventually } from '../../support/program.ts';
import { raw, recorder, withServer } from './support.ts';

const asks = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`;

/** A server without routes whose other protocol keeps every connection open. */
async function withEcho(
  use: (server: RunningServer, taken: Duplex[], lines: readonly string[]) => Promise<void>,
): Promise<void> {
  const taken: Duplex[] = [];
  const { log, lines } = recorder();
  const server = await startServer({
    program: 'echo',
    name: 'test server',
    host: '127.0.0.1',
    port: 0,
    routes: [],
    app: null,
    auth: noAuth,
    log,
    upgrade: {
      path: '/echo',
      take: (_, socket) => {
        taken.push(socket);
        socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      },
    },
  });
  try {
    await use(server, taken, lines);
  } finally {
    await server.close(0);
  }
}

test('a server says in its own name where it listens', () =>
  withEcho((server, _, lines) => {
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      `echo test server listening at 127.0.0.1:${server.port}`,
    ]);
    return Promise.resolve();
  }));

test('another protocol is spoken at its path only', () =>
  withEcho(async ({ port }, taken) => {
    expect(await raw(port, asks('/other'))).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*connection: close\r\n/);
    expect(await raw(port, asks('http://[/'))).toMatch(/^HTTP\/1\.1 404 /);
    expect(taken).toHaveLength(0);
    const served = raw(port, asks('/echo?a=b'));
    const socket = await eventually('the connection', () => taken[0]);
    socket.end('bye');
    expect(await served).toBe('HTTP/1.1 101 Switching Protocols\r\n\r\nbye');
  }));

test('closing waits for another protocol to end, and cuts it off after the limit', async () => {
  await withEcho(async (server, taken) => {
    const served = raw(server.port, asks('/echo'));
    const socket = await eventually('the connection', () => taken[0]);
    const closed = server.close(30_000);
    socket.end('last words');
    expect(await served).toContain('last words');
    await closed;
  });
  await withEcho(async (server, taken, lines) => {
    const served = raw(server.port, asks('/echo'));
    await eventually('the connection', () => taken[0]);
    await server.close(20);
    expect(await served).not.toContain('last words');
    expect(lines.join('')).toContain('did not finish in time: 1');
  });
});

test('a server without another protocol answers as if nobody had asked for one', () =>
  withServer({}, async ({ port }) => {
    expect(
      await raw(port, asks('/livez').replace('connection: upgrade', 'connection: close, upgrade')),
    ).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  }));

test('a route that requires an authentication which the server does not support keeps the server from starting', () =>
  expect(withServer({ auth: noAuth }, () => Promise.resolve())).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringContaining('does not support') as string,
  }));
