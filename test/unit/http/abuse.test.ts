import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyLimitBytes } from '../../../src/http/extract.ts';
import { configureBody } from './compute-for-tests.ts';
import { eventually } from '../../support/program.ts';
import { exchange, postJson, raw, withServer } from './support.ts';

const head = (token: string, extra: string): string =>
  `POST /configure HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n${extra}\r\n\r\n`;

test('a body that is not JSON is 400, and the answer and the log do not repeat it', () =>
  withServer({}, async ({ send, lines }) => {
    const bodies = [
      '',
      ' ',
      '{',
      '{"password":"hunter2",}',
      'hunter2',
      '\ufeff{}',
      '{} x',
      '['.repeat(100_000),
    ];
    for (const body of [...bodies, Buffer.from([0x22, 0xff, 0x22])]) {
      const reply = await send('POST', '/configure', postJson(body));
      expect(reply.status).toBe(400);
      expect(JSON.parse(reply.body)).toEqual({
        error: expect.stringMatching(/^failed to parse the request body as json: /) as string,
      });
      expect(reply.body + lines.join('')).not.toContain('hunter2');
    }
  }));

test('a body nested too deep is refused and not walked', () =>
  withServer({}, async ({ send }) => {
    const reply = await send('POST', '/configure', postJson('['.repeat(200_000) + ']'.repeat(200_000)));
    expect(reply.status).toBe(400);
  }));

test('random bodies end in a client error, never in a crash', () =>
  withServer({}, async ({ send }) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string(), fc.uint8Array()), async (body) => {
        const { status } = await send('POST', '/configure', postJson(Buffer.from(body as string)));
        expect([400, 422]).toContain(status);
      }),
      { numRuns: 200 },
    );
  }));

test('a body must be declared as JSON', () =>
  withServer({}, async ({ send }) => {
    const declared = (type: string) =>
      send('POST', '/configure', { headers: { 'content-type': type }, body: configureBody() });
    for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/problem+json']) {
      expect([type, (await declared(type)).status]).toEqual([type, 200]);
    }
    for (const type of ['', 'text/json', 'application/jsonx', 'application/x-www-form-urlencoded', 'json']) {
      const reply = await declared(type);
      expect([type, reply.status]).toEqual([type, 415]);
      expect(reply.body).toContain('expected request with `content-type: application/json`');
    }
  }));

test('2 MiB is the limit of a body, declared or sent in chunks', () =>
  withServer({}, async ({ send, token, port }) => {
    const full = `"${'x'.repeat(bodyLimitBytes - 2)}"`;
    expect((await send('POST', '/configure', postJson(full))).status).toBe(422);
    const over = await send('POST', '/configure', postJson(`${full} `));
    expect(over).toMatchObject({ status: 413 });
    expect(over.body).toContain('length limit exceeded');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    expect(await raw(port, head(token, 'transfer-encoding: chunked') + chunk.repeat(40))).toMatch(
      /^HTTP\/1\.1 413 /,
    );
  }));

test('100 MB are refused without being kept, and others are served meanwhile', () =>
  withServer({}, async ({ send, port }) => {
    const before = process.memoryUsage.rss();
    const body = Buffer.alloc(100_000_000, 0x20);
    const flood = send('POST', '/configure', postJson(body)).then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect((await exchange(port, 'GET', '/livez')).status).toBe(200);
    // The server may close the connection while the client still writes.
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(await flood);
    expect(process.memoryUsage.rss() - before).toBeLessThan(250_000_000);
    expect((await send('GET', '/status')).status).toBe(200);
  }));

test('no body is read for a request without a token', () =>
  withServer({}, async ({ port, app }) => {
    let reached = false;
    app.configure = () => {
      reached = true;
      return Promise.resolve(app.status());
    };
    for (const body of ['{', configureBody()]) {
      const reply = await exchange(port, 'POST', '/configure', postJson(body));
      expect(reply).toMatchObject({ status: 401, body: '{"error":"invalid authorization token"}' });
      expect(reply.headers['www-authenticate']).toBeUndefined();
    }
    expect(reached).toBe(false);
  }));

const quick = { limits: { headersMs: 200, requestMs: 400, checkMs: 50 } };

test('a head that drips in byte by byte is cut off with 408', () =>
  withServer(quick, async ({ port }) => {
    let timer: NodeJS.Timeout | undefined;
    const answer = await raw(port, (write) => {
      write('GET /livez HTTP/1.1\r\nx-slow: ');
      timer = setInterval(() => write('x'), 50);
    });
    clearInterval(timer);
    expect(answer).toMatch(/^HTTP\/1\.1 408 [^]*\{"error":"the request did not arrive in time"\}$/);
  }));

test('a connection that says nothing and a body that never comes are cut off', () =>
  withServer(quick, async ({ port, token }) => {
    expect(await raw(port, '')).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(await raw(port, head(token, 'content-length: 10'))).toMatch(/^HTTP\/1\.1 408 /);
  }));

test('a body that breaks off leaves no request open', () =>
  withServer({}, async ({ port, token, lines, server }) => {
    const client = new AbortController();
    const { connect } = await import('node:net');
    const socket = connect({ port, host: '127.0.0.1', signal: client.signal }).on('error', () => {});
    socket.write(`${head(token, 'content-length: 10')}{"a"`);
    await eventually('it arrived', () => lines.some((line) => line.includes('POST /configure')) || undefined);
    client.abort();
    await eventually(
      'it is over',
      () => lines.some((line) => line.includes('client disconnected')) || undefined,
    );
    await expect(server.close(10_000)).resolves.toBeUndefined();
    expect(lines.join('')).not.toContain('cut off');
  }));

test('a flood of headers is refused', () =>
  withServer({}, async ({ port }) => {
    const large = `GET /livez HTTP/1.1\r\nhost: a\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await raw(port, large)).toMatch(/^HTTP\/1\.1 431 [^]*"the head of the request is too large"/);
    const many = Array.from({ length: 600 }, (_, at) => `x-${at}: y`).join('\r\n');
    expect(await raw(port, `GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${many}\r\n\r\n`)).toMatch(
      / 400 Bad Request[^]*more than 100 headers/,
    );
  }));

test('what is not HTTP gets 400 in the shape of all errors', () =>
  withServer({}, async ({ port }) => {
    const lines = [
      '\x16\x03\x01',
      'GET',
      'FOO / HTTP/1.1',
      'GET foo HTTP/1.1',
      'GET /livez HTTP/9.9',
      'POST /configure HTTP/1.1\r\nhost: a\r\ncontent-length: -1',
    ];
    for (const line of lines) {
      const answer = await raw(port, `${line}\r\n\r\n`);
      expect(answer).toMatch(
        /^HTTP\/1\.1 400 [^]*x-request-id: [^]*\{"error":"the request is not valid HTTP"\}$/,
      );
    }
    for (const target of ['*', '/a\\b', 'http://[/x']) {
      const answer = await raw(port, `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
      expect(answer).toMatch(
        /^HTTP\/1\.1 400 [^]*x-request-id: [^]*\{"error":"malformed request target or host"\}$/,
      );
    }
    expect(await raw(port, 'GET /livez HTTP/1.1\r\nhost: a b@c\r\nconnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 /,
    );
    expect(await raw(port, 'GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  }));

test('a hundred waiting clients do not keep the probes from answering', () =>
  withServer({}, async ({ send, app }) => {
    const finish: (() => void)[] = [];
    app.checkWritability = () => new Promise((resolve) => finish.push(() => resolve(true)));
    const waiting = Array.from({ length: 100 }, () => send('POST', '/check_writability'));
    await eventually('all wait', () => finish.length === 100 || undefined);
    for (const path of ['/livez', '/readyz', '/startupz', '/status'])
      expect((await send('GET', path)).status).toBe(200);
    for (const each of finish) each();
    for (const reply of await Promise.all(waiting)) expect(reply.status).toBe(200);
  }));

test('no token is ever logged', () =>
  withServer({}, async ({ send, token, lines }) => {
    await send('GET', '/status');
    await send('GET', '/status', { headers: { authorization: `Bearer ${token}x` } });
    await send('GET', '/status', { headers: { authorization: `Basic ${token}` } });
    for (const part of token.split('.')) expect(lines.join('')).not.toContain(part);
  }));
