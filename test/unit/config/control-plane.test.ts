import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { pullConfig, specUrl } from '../../../src/config/control-plane.ts';
import { httpGet } from '../../../src/outbound/http-get.ts';
import { causeChain, inline } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { fullConfig } from '../spec/example.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers one after the other; a string is a body, a number a status. */
async function answering(
  ...answers: (string | number)[]
): Promise<{ base: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const base = await listen((request, response) => {
    const answer = answers[requests.push(request) - 1] ?? 500;
    response.writeHead(
      typeof answer === 'number' ? answer : 200,
      typeof answer === 'number' ? 'Own Words' : undefined,
    );
    response.end(typeof answer === 'number' ? 'no' : answer);
  });
  return { base, requests };
}

function pull(
  baseUrl: string,
  more: { env?: NodeJS.ProcessEnv; timeoutMs?: number; signal?: AbortSignal } = {},
) {
  const statuses: string[] = [];
  const pulled = pullConfig({
    baseUrl,
    computeId: 'a/b c',
    timeoutMs: 5000,
    signal: new AbortController().signal,
    env: {},
    token: new Secret(more.env?.['NEON_CONTROL_PLANE_TOKEN'] ?? ''),
    onAttempt: (status) => statuses.push(status),
    ...more,
  });
  return {
    statuses,
    pulled,
    error: pulled.then(
      () => null,
      (error: unknown) => error,
    ),
  };
}

const attached = JSON.stringify({ ...fullConfig(), status: 'attached' });
const config = { compute_ctl_config: { jwks: { keys: [] } } };

test('the path escapes the id and survives slashes at the end of the base', () => {
  expect(specUrl('http://cp/base//', 'a/b?c')).toBe('http://cp/base/compute/api/v2/computes/a%2Fb%3Fc/spec');
  expect(specUrl('https://cp', 'ep')).toBe('https://cp/compute/api/v2/computes/ep/spec');
});

test('one good answer is enough', async () => {
  const { base, requests } = await answering(attached);
  const { pulled, statuses } = pull(`${base}/`, { env: { NEON_CONTROL_PLANE_TOKEN: 'tok' } });
  expect((await pulled).value.spec?.tenant_id).toBe('3aa8fcc61f6d357410b7de754b1d9001');
  expect(statuses).toEqual(['200 OK']);
  expect(requests[0]?.url).toBe('/compute/api/v2/computes/a%2Fb%20c/spec');
  expect(requests[0]?.headers.authorization).toBe('Bearer tok');
});

test('the header is sent without a token too', async () => {
  const { base, requests } = await answering(JSON.stringify({ ...config, status: 'empty' }));
  expect((await pull(base).pulled).value.spec).toBeNull();
  expect(requests[0]?.headers.authorization).toMatch(/^Bearer *$/);
});

test.each<[string, (string | number)[], string[]]>([
  ['502 and 503', [502, 503, attached], ['502 Bad Gateway', '503 Service Unavailable', '200 OK']],
  ['a body that is not JSON', ['{', attached], ['200 OK', '200 OK']],
])('%s are tried again', async (_, answers, expected) => {
  const { base } = await answering(...answers);
  const { pulled, statuses } = pull(base);
  expect((await pulled).value.status).toBe('attached');
  expect(statuses).toEqual(expected);
});

describe('after the third failure it ends with the cause of the last', () => {
  test.each<[string | number, string]>([
    [503, 'control plane is temporarily unavailable'],
    [502, 'control plane request failed with 502'],
    ['{"status":"attached"}', 'could not deserialize control plane response'],
  ])('%s', async (answer, cause) => {
    const { base, requests } = await answering(answer, answer, answer, attached);
    const { error } = pull(base);
    expect(await error).toMatchObject({ code: 'control_plane' });
    const [outer, inner] = causeChain(await error);
    expect(outer).toBe('Exhausted all attempts to retrieve the config from the control plane');
    expect(inner).toBe(cause);
    expect(requests).toHaveLength(3);
  });

  test('nobody listening', async () => {
    const base = await listen(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const { error, statuses } = pull(base.replace('://', '://user:hush@'));
    expect(inline(await error)).toMatch(/could not reach the control plane at http:\/\/127.*ECONNREFUSED/);
    expect(inline(await error)).not.toContain('hush');
    expect(statuses).toEqual(['unknown', 'unknown', 'unknown']);
  });

  test('a server that never answers', async () => {
    const base = await listen(() => {});
    const { error } = pull(base, { timeoutMs: 30 });
    expect(inline(await error)).toContain('the request took longer than 30 ms');
  });

  test('an answer that breaks off', async () => {
    const base = await listen((_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"spec"', () => response.destroy());
    });
    const { error, statuses } = pull(base);
    expect(await error).toMatchObject({ code: 'control_plane' });
    expect(statuses).toEqual(['unknown', 'unknown', 'unknown']);
  });
});

test('any other status ends it at once, named in the usual words', async () => {
  const { base, requests } = await answering(404, attached);
  expect(await pull(base).error).toMatchObject({
    code: 'control_plane',
    message: 'unexpected control plane response status code: 404 Not Found',
  });
  expect(requests).toHaveLength(1);
});

test('attached without a spec ends it at once', async () => {
  const { base, requests } = await answering(
    JSON.stringify({ ...config, status: 'attached', spec: null }),
    attached,
  );
  expect(await pull(base).error).toMatchObject({ message: 'compute is attached, but spec is empty' });
  expect(requests).toHaveLength(1);
});

test('a body that is too long is cut off', async () => {
  const base = await listen((_, response) => response.end(Buffer.alloc(100_000)));
  const get = { url: base, headers: {}, maxBytes: 1000, signal: new AbortController().signal };
  await expect(httpGet({ ...get, env: {} })).rejects.toThrow('the body of the answer exceeds 1000 bytes');
  const proxied = { ...get, url: 'http://control-plane.invalid', env: { ALL_PROXY: base } };
  await expect(httpGet(proxied)).rejects.toThrow('the body of the answer exceeds 1000 bytes');
});

test('an abort ends the wait for an answer', async () => {
  const stop = new AbortController();
  const base = await listen(() => stop.abort());
  const { error, statuses } = pull(base, { signal: stop.signal });
  expect(await error).toMatchObject({ name: 'AbortError' });
  expect(statuses).toEqual(['unknown']);
});

describe('a proxy', () => {
  test('from the environment is used', async () => {
    const seen: string[] = [];
    const proxy = await listen((request, response) => {
      seen.push(request.url ?? '');
      response.end(attached);
    });
    const { pulled } = pull('http://control-plane.invalid', { env: { HTTP_PROXY: proxy } });
    expect((await pulled).value.status).toBe('attached');
    expect(seen).toEqual(['http://control-plane.invalid/compute/api/v2/computes/a%2Fb%20c/spec']);
  });

  test('is not used for hosts that are excepted, nor for the other protocol', async () => {
    const { base } = await answering(attached, attached);
    const dead = 'http://127.0.0.1:1';
    expect((await pull(base, { env: { http_proxy: dead, NO_PROXY: '127.0.0.1' } }).pulled).value.status).toBe(
      'attached',
    );
    expect((await pull(base, { env: { HTTPS_PROXY: dead } }).pulled).value.status).toBe('attached');
  });
});
