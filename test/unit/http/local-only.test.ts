import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { noAuth } from '../../../src/http/auth.ts';
import { internalRoutes } from '../../../src/http/routes/internal.ts';
import { startServer } from '../../../src/http/server.ts';
import { eventually } from '../../support/program.ts';
import { raw, recorder, withServer } from './support.ts';

const internal = { name: 'internal HTTP server', routes: internalRoutes, localOnly: true };

const ask = async (port: number, head: string, target = '/refresh_configuration'): Promise<number> => {
  const answer = await raw(port, `POST ${target} HTTP/1.1\r\n${head}connection: close\r\n\r\n`);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
};

const withInternal = (use: (port: number) => Promise<void>): Promise<void> =>
  withServer(internal, ({ port }) => use(port));

test('the internal server answers loopback names in Host, with any port and in any case', () =>
  withInternal(async (port) => {
    const hosts = ['localhost', 'LocalHost', '127.0.0.1', '[::1]'].flatMap((name) => [
      name,
      `${name}:${port}`,
      `${name}:1`,
    ]);
    for (const host of hosts) expect([host, await ask(port, `host: ${host}\r\n`)]).not.toEqual([host, 403]);
  }));

test('a page whose name is resolved to the loopback gets no answer from the internal server', () =>
  withServer(internal, async ({ port, app }) => {
    let reached = false;
    app.refresh = () => {
      reached = true;
    };
    const hosts = [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      'evil.localhost',
      'localhost.',
      '127.0.0.1.',
      '127.0.0.1.nip.io',
      '127.0.0.2',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0.0.0.0',
      '::1',
      '[::]',
      '[::1',
      '[::1%lo]',
      '[0:0:0:0:0:0:0:1]',
      '[::ffff:127.0.0.1]',
      'user@localhost',
      'localhost@evil.example',
      'localhost:evil',
      'localhost:80:80',
      'localhost:123456',
      'localhost/evil',
      'localhost, evil.example',
      'localhost evil.example',
      'localho\u017Ft',
      '',
    ];
    for (const host of hosts) expect([host, await ask(port, `host: ${host}\r\n`)]).toEqual([host, 403]);
    const answer = await raw(
      port,
      'GET /nowhere HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/\r\n\r\n\{"error":"this server is for programs on this machine: the header Host/);
    expect(reached).toBe(false);
  }));

test('several Host headers, none, and a target with another host are refused by the internal server', () =>
  withInternal(async (port) => {
    expect(await ask(port, 'host: localhost\r\nhost: localhost\r\n')).toBe(403);
    expect(await ask(port, 'host: localhost\r\nHOST: evil.example\r\n')).toBe(403);
    expect(await ask(port, '')).toBe(400);
    expect(await raw(port, 'POST /refresh_configuration HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
    const local = 'host: localhost\r\n';
    const path = '/refresh_configuration';
    for (const target of [
      `http://evil.example${path}`,
      `http://localhost@evil.example${path}`,
      `http://user@localhost${path}`,
      `http://localhost.${path}`,
      `https://localhost${path}`,
      `ftp://localhost${path}`,
    ])
      expect([target, await ask(port, local, target)]).toEqual([target, 403]);
    expect(await ask(port, 'host: evil.example\r\n', `http://localhost${path}`)).toBe(403);
    expect(await ask(port, local, `http://localhost:${port}${path}`)).not.toBe(403);
  }));

test('a request that a browser marks as foreign is refused by the internal server', () =>
  withInternal(async (port) => {
    const host = `host: localhost:${port}\r\n`;
    const foreign = [
      'origin: http://evil.example',
      `origin: http://evil.example:${port}`,
      'origin: http://localhost:1',
      'origin: http://localhost',
      `origin: https://localhost:${port}`,
      `origin: http://localhost.evil.example:${port}`,
      `origin: http://user@localhost:${port}`,
      'origin: null',
      'origin:',
      'origin: file://',
      `origin: http://localhost:${port}\r\norigin: http://evil.example`,
      'sec-fetch-site: cross-site',
      'sec-fetch-site: same-site',
      'sec-fetch-site: Same-Origin',
      'sec-fetch-site: something',
      'sec-fetch-site: same-origin\r\nsec-fetch-site: cross-site',
      `origin: http://localhost:${port}\r\nsec-fetch-site: cross-site`,
    ];
    for (const header of foreign)
      expect([header, await ask(port, `${host}${header}\r\n`)]).toEqual([header, 403]);
    for (const header of [
      `origin: http://localhost:${port}`,
      `origin: http://127.0.0.1:${port}`,
      'sec-fetch-site: same-origin',
      'sec-fetch-site: none',
    ])
      expect([header, await ask(port, `${host}${header}\r\n`)]).not.toEqual([header, 403]);
  }));

test.each(['origin: http://evil.example', 'sec-fetch-site: cross-site', 'x: y'])(
  'a header behind a hundred others is not overlooked: %s',
  (last) =>
    withServer(internal, async ({ port, app }) => {
      let reached = false;
      app.refresh = () => {
        reached = true;
      };
      const others = 'a: b\r\n'.repeat(99);
      expect([400, 403]).toContain(await ask(port, `host: localhost\r\n${others}${last}\r\n`));
      expect(reached).toBe(false);
    }),
);

test('a server that listens elsewhere, too, is called by the address that it was reached at, and by no name', async () => {
  const { log } = recorder();
  const options = { program: 'test', name: 'test server', routes: [], app: null, auth: noAuth, log };
  const server = await startServer({ ...options, host: '::', port: 0, localOnly: true });
  const own = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
  const status = async (address: string, host: string): Promise<number> => {
    const { connect } = await import('node:net');
    let answer = '';
    const socket = connect(server.port, address);
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    return Number(
      await eventually('the answer', () => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]).finally(() =>
        socket.destroy(),
      ),
    );
  };
  try {
    expect(await status('127.0.0.1', 'evil.example')).toBe(403);
    expect(await status('127.0.0.1', '127.0.0.1')).toBe(404);
    expect(await status('127.0.0.1', '10.9.8.7')).toBe(403);
    if (own === undefined) return;
    expect(await status(own, own)).toBe(404);
    expect(await status(own, 'evil.example')).toBe(403);
  } finally {
    await server.close(0);
  }
});

test('another protocol is refused to a page in a browser, too', async () => {
  const { log } = recorder();
  const taken: unknown[] = [];
  const server = await startServer({
    program: 'echo',
    name: 'test server',
    host: '127.0.0.1',
    port: 0,
    localOnly: true,
    routes: [],
    app: null,
    auth: noAuth,
    log,
    upgrade: { path: '/echo', take: (_, socket) => (taken.push(socket), socket.end()) },
  });
  const asks = (more: string): string =>
    `GET /echo HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n${more}\r\n\r\n`;
  try {
    expect(await raw(server.port, asks('host: evil.example'))).toMatch(/^HTTP\/1\.1 403 /);
    expect(await raw(server.port, asks('host: localhost\r\norigin: http://evil.example'))).toMatch(
      /^HTTP\/1\.1 403 /,
    );
    expect(taken).toHaveLength(0);
    await raw(server.port, asks('host: localhost'));
    expect(taken).toHaveLength(1);
  } finally {
    await server.close(0);
  }
});
