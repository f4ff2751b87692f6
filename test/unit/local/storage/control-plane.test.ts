import { request } from 'node:http';
import { expect, test } from 'vitest';
import { Secret } from '../../../../src/core/secret.ts';
import { controlPlane } from '../../../../src/local/storage/control-plane.ts';
import { recorder } from '../../http/support.ts';

interface Reply {
  readonly status: number;
  readonly body: string;
}

async function withControlPlane(
  use: (ask: (method: string, path: string, authorization?: string) => Promise<Reply>) => Promise<void>,
): Promise<string> {
  const { log, lines } = recorder();
  const server = await controlPlane({
    host: '127.0.0.1',
    port: 0,
    token: new Secret('sesame'),
    spec: (id) => (id === 'a b' ? { spec: { id } } : null),
    claim: async () => 1,
    status: () => ({ attached: true }),
    log,
  });
  try {
    await use(
      (method, path, authorization) =>
        new Promise((resolve, reject) => {
          const headers = authorization === undefined ? {} : { authorization };
          const outgoing = request(
            { host: '127.0.0.1', port: server.port, method, path, headers, agent: false },
            (incoming) => {
              let body = '';
              incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
              incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }));
            },
          );
          outgoing.on('error', reject).end();
        }),
    );
  } finally {
    await server.close(0);
  }
  return lines.join('');
}

const good = 'Bearer sesame';
const spec = '/compute/api/v2/computes/a%20b/spec';

test('specs and status are handed out for the token, and nothing without it', async () => {
  const logged = await withControlPlane(async (ask) => {
    expect(await ask('GET', spec, good)).toEqual({ status: 200, body: '{"spec":{"id":"a b"}}' });
    expect(await ask('GET', '/status?x', 'bearer  sesame')).toEqual({
      status: 200,
      body: '{"attached":true}',
    });
    for (const header of [undefined, '', 'Bearer', 'Bearer sesam', 'Bearer sesame2', 'Basic sesame']) {
      for (const path of [spec, '/status', '/compute/api/v2/computes/other/spec']) {
        expect([header, path, await ask('GET', path, header)]).toEqual([
          header,
          path,
          { status: 401, body: '{"error":"the bearer token is wrong"}' },
        ]);
      }
    }
  });
  expect(logged).toContain('compute-local control plane listening at 127.0.0.1:');
  expect(logged).not.toContain('sesam');
});

test('a compute that is unknown, a path that is unknown, and another method', async () => {
  await withControlPlane(async (ask) => {
    expect(await ask('GET', '/compute/api/v2/computes/other/spec', good)).toEqual({
      status: 404,
      body: '{"error":"the compute other does not exist"}',
    });
    for (const path of ['/', '/compute/api/v2/computes/a%20b', '/compute/api/v2/computes//spec'])
      expect([path, (await ask('GET', path, good)).status]).toEqual([path, 404]);
    expect((await ask('POST', spec, good)).status).toBe(405);
    expect((await ask('DELETE', '/status', good)).status).toBe(405);
  });
});
