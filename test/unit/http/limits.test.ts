import { Readable } from 'node:stream';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { Answer, json } from '../../../src/http/answer.ts';
import { externalRoutes } from '../../../src/http/routes/external.ts';
import { route } from '../../../src/http/routes/route.ts';
import { startServer } from '../../../src/http/server.ts';
import { eventually } from '../../support/program.ts';
import { exchange, raw, withServer } from './support.ts';

const release: { done: (() => void) | undefined } = { done: undefined };
const slow = route({
  method: 'GET',
  path: '/slow',
  auth: 'none',
  summary: 'Answers when the test says so.',
  reply: v.object({ ok: v.boolean() }),
  errors: ['deadline'],
  limitMs: 30_000,
  goesOn: true,
  handler: () => new Promise((resolve) => (release.done = () => resolve(json(200, { ok: true })))),
});

test('closing lets open requests finish and takes no new ones', () =>
  withServer({ routes: [...externalRoutes, slow] }, async ({ server, port, send }) => {
    const open = send('GET', '/slow');
    const done = await eventually('the request is open', () => release.done);
    const closed = server.close(20_000);
    await expect(exchange(port, 'GET', '/livez')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    done();
    expect(await open).toMatchObject({ status: 200, body: '{"ok":true}', headers: { connection: 'close' } });
    await closed;
  }));

test('closing cuts off what does not finish within the limit, and a silent connection does not hold it up', () =>
  withServer({ routes: [slow] }, async ({ server, port, send, lines }) => {
    const silent = raw(port, '');
    const open = send('GET', '/slow').catch((error: NodeJS.ErrnoException) => error.code);
    await eventually('the request is logged', () =>
      lines.some((line) => line.includes('GET /slow')) ? true : undefined,
    );
    await server.close(50);
    expect(await open).toBe('ECONNRESET');
    expect(await silent).toBe('');
    expect(lines.join('')).toContain('did not finish in time: 1');
  }));

test('an aborted signal closes the server at once', async () => {
  const stop = new AbortController();
  await withServer({ routes: [slow], signal: stop.signal }, async ({ send, server }) => {
    const open = send('GET', '/slow').catch((error: NodeJS.ErrnoException) => error.code);
    setImmediate(() => stop.abort());
    expect(await open).toMatch(/ECONN/);
    await server.close(10_000);
  });
  const options = { signal: AbortSignal.abort() } as Parameters<typeof startServer>[0];
  await expect(startServer(options)).rejects.toMatchObject({ name: 'AbortError' });
});

test('a handler that outlives its limit is answered with 504 and told to stop', () => {
  let told = false;
  const endless = route({
    ...slow,
    path: '/endless',
    limitMs: 30,
    handler: ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          told = true;
          reject(signal.reason as Error);
        }),
      ),
  });
  return withServer({ routes: [endless] }, async ({ send }) => {
    const reply = await send('GET', '/endless');
    expect(reply).toMatchObject({
      status: 504,
      body: '{"error":"GET /endless (which continues in the background) took longer than 30 ms"}',
    });
    expect(told).toBe(true);
  });
});

test('the signal of a handler fires when the client leaves', () => {
  const seen = { asked: false, left: false };
  const waiting = route({
    ...slow,
    path: '/waiting',
    handler: ({ signal }) => {
      seen.asked = true;
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          seen.left = true;
          reject(signal.reason as Error);
        }),
      );
    },
  });
  return withServer({ routes: [waiting] }, async ({ send, lines }) => {
    const client = new AbortController();
    const gone = send('GET', '/waiting', { signal: client.signal }).catch((error: Error) => error.name);
    await eventually('the handler runs', () => seen.asked || undefined);
    client.abort();
    expect(await gone).toBe('AbortError');
    await eventually('the handler knows', () => seen.left || undefined);
    expect(lines.join('')).toContain('client disconnected before the answer');
    expect(lines.some((line) => line.includes('"level":50'))).toBe(false);
  });
});

test('an answer that breaks off on the way is not taken for a whole one, nor the client blamed', () => {
  async function* parts(failure?: Error): AsyncGenerator<string> {
    for (const part of ['first ', 'second']) {
      yield part;
      // A pause, so that the parts leave one by one.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (failure !== undefined) throw failure;
  }
  const streaming = (path: string, failure?: Error) =>
    route({
      ...slow,
      path,
      handler: () => new Answer(200, Readable.from(parts(failure)), { 'content-type': 'text/plain' }),
    });
  const whole = streaming('/whole');
  const broken = streaming('/broken', new Error('no more'));
  return withServer({ routes: [whole, broken] }, async ({ send, lines, server }) => {
    expect(await send('GET', '/whole')).toMatchObject({ status: 200, body: 'first second' });
    expect(await send('HEAD', '/whole')).toMatchObject({ status: 200, body: '' });
    await expect(send('GET', '/broken')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await eventually('the line', () =>
      lines.some((line) => line.includes('GET /broken: the answer failed before its end')) ? true : undefined,
    );
    expect(lines.join('')).not.toContain('client disconnected');
    await server.close(1000);
  });
});
