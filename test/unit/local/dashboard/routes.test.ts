import { type IncomingHttpHeaders, request } from 'node:http';
import { expect, test } from 'vitest';
import { ComputeError } from '../../../../src/core/errors.ts';
import { createLog } from '../../../../src/core/log.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { noAuth } from '../../../../src/http/auth.ts';
import { startServer } from '../../../../src/http/server.ts';
import { FieldProblems } from '../../../../src/local/dashboard/field-problems.ts';
import { Hub } from '../../../../src/local/dashboard/hub.ts';
import { type Dashboard, routes } from '../../../../src/local/dashboard/routes.ts';
import { Sessions } from '../../../../src/local/dashboard/sessions.ts';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Rig {
  readonly sessions: Sessions;
  /** That of the sessions. */
  readonly clock: { ms: number };
  readonly hub: Hub;
  readonly done: unknown[];
  readonly origin: string;
  readonly send: (
    method: string,
    path: string,
    headers?: Record<string, string>,
    body?: string,
  ) => Promise<Reply>;
  /** Exchanges a new token. */
  readonly open: () => Promise<{ path: string; cookie: string }>;
}

async function withRoutes(work: (rig: Rig) => Promise<void>): Promise<void> {
  const done: unknown[] = [];
  const clock = { ms: 0 };
  const sessions = new Sessions(() => clock.ms);
  const hub: Hub = new Hub({ full: () => ({ model: null, samples: [], logs: {} }), changed: () => {} });
  const server = await startServer<Dashboard>({
    program: 'test',
    name: 'dashboard',
    host: '127.0.0.1',
    port: 0,
    log: createLog({ format: 'text', level: 'fatal' }),
    localOnly: true,
    auth: noAuth,
    routes,
    headers: { 'cache-control': 'no-store' },
    app: {
      sessions,
      hub,
      linkSecret: new Secret('secret of the command'),
      page: () => Promise.resolve({ html: '<p>the page</p>', policy: "script-src 'sha256-x'" }),
      port: () => 1,
      sleep: () => Promise.reject(new ComputeError('conflict', 'ann keeps it awake', { hint: 'ask ann' })),
      act(given) {
        done.push(given);
        if (given.action === 'branch')
          return Promise.reject(new FieldProblems([{ path: 'fields.name', message: 'a name is missing' }]));
        return given.action === 'fail'
          ? Promise.reject(new Error('it failed'))
          : Promise.resolve({ message: 'done', ms: 7 });
      },
    },
  });
  const send: Rig['send'] = (method, path, headers = {}, body) =>
    new Promise((resolve, reject) => {
      const given = { port: server.port, host: '127.0.0.1', method, path, headers, agent: false };
      const sent = request(given, (reply) => {
        const isStream = reply.headers['content-type'] === 'text/event-stream';
        let text = '';
        const finish = (): void =>
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: text });
        reply.on('error', () => {});
        reply.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          if (!isStream) return;
          finish();
          reply.destroy();
        });
        reply.on('end', finish);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const open: Rig['open'] = async () => {
    const { headers } = await send('GET', `/?token=${sessions.link()}`);
    const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    return { path: headers.location ?? '', cookie };
  };
  try {
    await work({ sessions, clock, hub, done, send, open, origin: `http://127.0.0.1:${server.port}` });
  } finally {
    hub.end({ why: 'over', how: 'up' });
    await server.close(0);
  }
}

test('a token is exchanged once for a cookie, with which the page is shown', () =>
  withRoutes(async ({ sessions, send }) => {
    const token = sessions.link();
    const first = await send('GET', `/?token=${token}`);
    expect(first.status).toBe(303);
    expect(first.headers['cache-control']).toBe('no-store');
    const cookie = first.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const page = await send('GET', first.headers.location ?? '', { cookie });
    expect(page).toMatchObject({ status: 200, body: '<p>the page</p>' });
    expect(page.headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'sha256-x'; connect-src 'self'; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    const again = await send('GET', `/?token=${token}`);
    expect(again.status).toBe(401);
    expect(again.body).toContain('compute-local dashboard');
    expect(again.headers['set-cookie']).toBeUndefined();
  }));

test('a HEAD, a preview and what a browser fetches ahead used up the link', () =>
  withRoutes(async ({ sessions, send }) => {
    const path = `/?token=${sessions.link()}`;
    const head = await send('HEAD', path);
    expect([head.status, head.headers['set-cookie']]).toEqual([200, undefined]);
    for (const headers of [
      { 'sec-purpose': 'prefetch;prerender' },
      { purpose: 'prefetch' },
      { 'x-moz': 'prefetch' },
    ]) {
      const ahead = await send('GET', path, headers);
      expect([ahead.status, ahead.headers['set-cookie']]).toEqual([503, undefined]);
    }
    // Without a cookie, or only with HEAD, nobody has opened it.
    const looked = await send('GET', path);
    const page = looked.headers.location ?? '';
    const cookie = looked.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    expect((await send('GET', page)).status).toBe(401);
    expect((await send('HEAD', page, { cookie })).status).toBe(401);
    const opened = await send('GET', path);
    const own = { cookie: opened.headers['set-cookie']?.[0]?.split(';')[0] ?? '' };
    expect((await send('GET', opened.headers.location ?? '', own)).status).toBe(200);
    expect((await send('HEAD', opened.headers.location ?? '', own)).status).toBe(200);
    expect((await send('GET', page, { cookie })).status).toBe(401);
    expect((await send('GET', path)).status).toBe(401);
  }));

test('without its cookie nothing is shown and nothing is done', () =>
  withRoutes(async ({ send, open, done, origin }) => {
    const [{ path, cookie }, other] = [await open(), await open()];
    for (const headers of [{}, { cookie: 'compute_local_dashboard=x' }, { cookie: other.cookie }]) {
      for (const what of ['', 'events'])
        expect((await send('GET', `${path}${what}`, headers)).status).toBe(401);
      const json = { ...headers, origin, 'content-type': 'application/json' };
      expect((await send('POST', `${path}actions`, json, '{"action":"stop","target":""}')).status).toBe(401);
    }
    expect((await send('GET', '/s/x/', { cookie })).status).toBe(401);
    expect((await send('GET', '/')).status).toBe(401);
    expect(done).toEqual([]);
  }));

test('another host, another origin and another site are refused', () =>
  withRoutes(async ({ send, open, done, origin }) => {
    const { path, cookie } = await open();
    const json = { cookie, 'content-type': 'application/json' };
    const body = '{"action":"stop","target":""}';
    for (const [headers, status] of [
      [{ host: 'example.com', origin: 'http://example.com' }, 403],
      [{ host: 'example.com:80' }, 403],
      [{ origin: 'http://127.0.0.1:1' }, 403],
      [{ origin: 'null' }, 403],
      [{ origin, 'sec-fetch-site': 'same-site' }, 403],
      [{ origin, 'sec-fetch-site': 'cross-site' }, 403],
      [{}, 403],
    ] as const)
      expect((await send('POST', `${path}actions`, { ...json, ...headers }, body)).status).toBe(status);
    expect((await send('GET', path, { cookie, host: 'rebound.example' })).status).toBe(403);
    expect(done).toEqual([]);
  }));

test('an action is a POST of JSON, and its outcome is the answer', () =>
  withRoutes(async ({ send, open, done, origin }) => {
    const { path, cookie } = await open();
    const headers = { cookie, origin, 'content-type': 'application/json' };
    const post = (body: string, type = headers['content-type']): Promise<Reply> =>
      send('POST', `${path}actions`, { ...headers, 'content-type': type }, body);
    expect((await send('GET', `${path}actions`, headers)).status).toBe(404);
    expect((await post('{"action":"stop","target":""}', 'text/plain')).status).toBe(415);
    expect((await post('{}')).status).toBe(422);
    expect(done).toEqual([]);
    const good = await post('{"action":"stop","target":"a"}');
    expect([good.status, JSON.parse(good.body)]).toMatchObject([200, { ok: true, message: 'done', ms: 7 }]);
    const bad = await post('{"action":"fail","target":"a"}');
    expect([bad.status, JSON.parse(bad.body)]).toMatchObject([200, { ok: false, message: 'it failed' }]);
    expect(done).toHaveLength(2);
    for (const fields of ['7', '{"name":7}', `{"name":"${'x'.repeat(1001)}"}`])
      expect((await post(`{"action":"branch","target":"","fields":${fields}}`)).status).toBe(422);
    expect(done).toHaveLength(2);
    const refused = await post('{"action":"branch","target":"","fields":{"name":""}}');
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([
      200,
      {
        ok: false,
        hint: 'correct it and try again; nothing was changed',
        problems: [{ path: 'fields.name', message: 'a name is missing' }],
      },
    ]);
  }));

test('the page of another directory lets it sleep, with the secret of the command alone', () =>
  withRoutes(async ({ send, open }) => {
    const { cookie } = await open();
    for (const authorization of ['', 'Bearer x'])
      expect((await send('POST', '/sleep', { cookie, authorization })).status).toBe(401);
    expect((await send('GET', '/sleep', { authorization: 'Bearer secret of the command' })).status).toBe(405);
    const answer = await send('POST', '/sleep', { authorization: 'Bearer secret of the command' });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      409,
      { error: 'ann keeps it awake', hint: 'ask ann' },
    ]);
  }));

test('a stream is continued after the last message that was seen', () =>
  withRoutes(async ({ send, open, hub }) => {
    const { path, cookie } = await open();
    hub.publish('log', { name: 'main', lines: [{ text: 'seen', isRequest: false }] });
    const first = await send('GET', `${path}events`, { cookie });
    expect(first.headers['content-type']).toBe('text/event-stream');
    const id = /id: (\S+)\nevent: full/.exec(first.body)?.[1] ?? '';
    hub.publish('log', { name: 'main', lines: [{ text: 'missed', isRequest: false }] });
    const next = await send('GET', `${path}events`, { cookie, 'last-event-id': id });
    expect(next.body).toContain('missed');
    expect(next.body).not.toContain('event: full');
    const unknown = await send('GET', `${path}events`, { cookie, 'last-event-id': 'f00-1' });
    expect(unknown.body).toContain('event: full');
  }));

test('a stream that is open ends with its session', () =>
  withRoutes(async ({ open, hub, clock, origin, send }) => {
    const { path, cookie } = await open();
    expect((await send('GET', path, { cookie })).status).toBe(200);
    const ended = new Promise<string>((resolve, reject) => {
      const sent = request(`${origin}${path}events`, { headers: { cookie }, agent: false }, (reply) => {
        let text = '';
        reply.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        reply.on('end', () => resolve(text)).on('error', reject);
      });
      sent.on('error', reject).end();
    });
    await expect.poll(() => hub.size).toBe(1);
    clock.ms = 12 * 3_600_000;
    hub.beat();
    expect(await ended).toContain('event: full');
    expect((await send('GET', `${path}events`, { cookie })).status).toBe(401);
  }));

test('a new link is for who knows the secret of the command', () =>
  withRoutes(async ({ send, sessions }) => {
    for (const authorization of ['', 'Bearer x', 'Basic secret of the command'])
      expect((await send('POST', '/links', { authorization })).status).toBe(401);
    const made = await send('POST', '/links', { authorization: 'Bearer secret of the command' });
    expect(made.status).toBe(201);
    const { url } = JSON.parse(made.body) as { url: string };
    expect(sessions.exchange(new URL(url).searchParams.get('token') ?? '')).not.toBeNull();
    expect((await send('GET', '/links', {})).status).toBe(405);
  }));
