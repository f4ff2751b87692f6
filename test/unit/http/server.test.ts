import { createServer } from 'node:net';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { statuses, statusText } from '../../../src/core/status.ts';
import { route } from '../../../src/http/routes/route.ts';
import { exchange, postJson, raw, withServer } from './support.ts';
import { eventually } from '../../support/program.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('an unknown path is 404 with an empty body, also without a token', () =>
  withServer({}, async ({ port }) => {
    for (const path of ['/nothing', '/status/', '/', '//status', '/grants']) {
      const reply = await exchange(port, 'GET', path);
      expect(reply).toMatchObject({ status: 404, body: '', headers: { 'content-length': '0' } });
      expect(reply.headers['content-type']).toBeUndefined();
      expect(reply.headers['x-request-id']).toMatch(uuid);
    }
  }));

test('another method is 405 and names the right ones, before the token is looked at', () =>
  withServer({}, async ({ port }) => {
    const wrong: [string, string, string][] = [
      ['POST', '/status', 'GET,HEAD'],
      ['OPTIONS', '/status', 'GET,HEAD'],
      ['DELETE', '/metrics', 'GET,HEAD'],
      ['GET', '/configure', 'POST'],
      ['HEAD', '/terminate', 'POST'],
    ];
    for (const [method, path, allow] of wrong) {
      const reply = await exchange(port, method, path);
      expect(reply).toMatchObject({ status: 405, body: '', headers: { allow, 'content-length': '0' } });
    }
  }));

test('HEAD answers like GET without the body', () =>
  withServer({}, async ({ send }) => {
    for (const path of ['/status', '/metrics', '/metrics.json', '/livez']) {
      const [get, head] = [await send('GET', path), await send('HEAD', path)];
      expect(head.status).toBe(200);
      expect(head.body).toBe('');
      for (const name of ['content-type', 'content-length'])
        expect(head.headers[name]).toBe(get.headers[name]);
    }
  }));

test('a request id is kept when it is printable and replaced when it is not', () =>
  withServer({}, async ({ port, send }) => {
    const withId = (id: string) => send('GET', '/nothing', { headers: { 'x-request-id': id } });
    expect((await withId('any text 1')).headers['x-request-id']).toBe('any text 1');
    expect((await withId('x'.repeat(201))).headers['x-request-id']).toMatch(uuid);
    const bytes = Buffer.from(
      'GET /livez HTTP/1.1\r\nhost: a\r\nx-request-id: \xff\x80\r\nconnection: close\r\n\r\n',
      'latin1',
    );
    expect(await raw(port, bytes)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*x-request-id: [0-9a-f-]{36}\r\n/);
    const two =
      'GET /livez HTTP/1.1\r\nhost: a\r\nx-request-id: one\r\nX-Request-Id: two\r\nconnection: close\r\n\r\n';
    expect(await raw(port, two)).toContain('x-request-id: one\r\n');
  }));

test('each request leaves a line when it is answered, one that changes something also when it comes, probes only for debugging', () =>
  withServer({}, async ({ send, lines }) => {
    await send('GET', '/status?a=b', { headers: { 'x-request-id': 'r1' } });
    await send('POST', '/check_writability', { headers: { 'x-request-id': 'r3' } });
    await send('GET', '/livez', { headers: { 'x-request-id': 'r2' } });
    const of = (id: string) =>
      lines
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line['request_id'] === id);
    await eventually('the last line', () => (of('r2').length === 2 ? true : undefined));
    const latency = expect.any(Number) as number;
    expect(of('r1')).toEqual([
      expect.objectContaining({ level: 20, msg: 'GET /status?a=b' }),
      expect.objectContaining({ level: 30, msg: 'GET /status?a=b answered', code: 200, latency }),
    ]);
    expect(of('r3')).toEqual([
      expect.objectContaining({ level: 30, msg: 'POST /check_writability' }),
      expect.objectContaining({ level: 30, msg: 'POST /check_writability answered', code: 200, latency }),
    ]);
    expect(of('r2').map(({ level }) => level)).toEqual([20, 20]);
  }));

const crash = route({
  method: 'GET',
  path: '/crash',
  auth: 'none',
  summary: 'Fails as no handler should.',
  reply: v.string(),
  errors: [],
  handler: () => {
    throw new TypeError('secret detail');
  },
});

test('a defect in a handler is answered with 500 and its details stay in the log', () =>
  withServer({ routes: [crash] }, async ({ send, lines }) => {
    const reply = await send('GET', '/crash');
    expect(reply).toMatchObject({ status: 500, body: '{"error":"internal error"}' });
    await eventually('the line', () =>
      lines.some((line) => line.includes('response failed')) ? true : undefined,
    );
    expect(lines.join('')).toContain('secret detail');
    expect(lines.join('')).toContain('Status code: 500 Internal Server Error');
  }));

const gated = route({
  method: 'POST',
  path: '/gated',
  auth: 'jwt',
  summary: 'Works while Postgres runs.',
  allowedIn: ['running'],
  body: v.object({ name: v.string(), inner: v.object({ size: v.number() }) }),
  reply: v.object({ name: v.string() }),
  errors: ['wrong_status'],
  handler: ({ body }) => ({ name: body.name }),
});
const good = postJson('{"name":"x","inner":{"size":1},"more":true}');

test('a route answers 412 in every status that it does not allow, after it has read the body', async () => {
  for (const at of statuses) {
    await withServer({ routes: [gated], at }, async ({ send }) => {
      const [reply, bad] = [await send('POST', '/gated', good), await send('POST', '/gated', postJson('{'))];
      expect(bad.status).toBe(400);
      const wanted =
        at === 'running'
          ? [200, '{"name":"x"}']
          : [412, `{"error":"invalid compute status: ${statusText(at)}"}`];
      expect([reply.status, reply.body]).toEqual(wanted);
    });
  }
});

test('a body of the wrong shape is 422 with all problems, one that names a key twice too', () =>
  withServer({ routes: [gated] }, async ({ send }) => {
    const prefix = 'failed to deserialize the json body into the target type: ';
    const error = async (body: string) => {
      const reply = await send('POST', '/gated', postJson(body));
      expect(reply.status).toBe(422);
      expect(reply.headers['content-type']).toBe('application/json');
      return (JSON.parse(reply.body) as { error: string }).error;
    };
    expect(await error('{"name":5,"inner":{}}')).toBe(
      `${prefix}name: expected string; missing field \`inner.size\``,
    );
    expect(await error('[]')).toMatch(prefix);
    expect(await error('{"name":"a","name":"b","inner":{"size":1}}')).toBe(`${prefix}name: given twice`);
  }));

test('a port that is taken ends in a clear error', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  try {
    const start = withServer({ port }, () => Promise.resolve());
    await expect(start).rejects.toMatchObject({
      code: 'port',
      message: `the external HTTP server cannot listen at 127.0.0.1:${port}`,
      hint: expect.stringContaining('another port') as string,
    });
  } finally {
    await new Promise((resolve) => taken.close(resolve));
  }
});

test('an address that this machine does not have is a clear error too', () =>
  expect(withServer({ host: '192.0.2.1' }, () => Promise.resolve())).rejects.toMatchObject({
    code: 'port',
    message: expect.stringContaining('192.0.2.1:0') as string,
  }));

test('the host :: takes IPv4 clients, and localhost has one port for its addresses', async () => {
  for (const host of ['::', 'localhost']) {
    await withServer({ host }, async ({ port, lines }) => {
      expect((await exchange(port, 'GET', '/livez')).status).toBe(200);
      expect(lines[0]).toMatch(/compute_ctl external HTTP server listening at .*:\d+"/);
    });
  }
});

test('each answer is counted once, by its route and status, whatever the path was', async () => {
  const counted: (readonly [string | null, number])[] = [];
  const answered = (path: string | null, status: number): void => void counted.push([path, status]);
  await withServer({ answered }, async ({ port, send }) => {
    await send('GET', '/status');
    await exchange(port, 'GET', '/status');
    await exchange(port, 'POST', '/status');
    await exchange(port, 'GET', '/nothing');
  });
  expect(counted).toEqual([
    ['/status', 200],
    ['/status', 401],
    [null, 405],
    [null, 404],
  ]);
});
