import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mintToken } from '../../../src/client/index.ts';
import { externalRoutes } from '../../../src/http/routes/external.ts';
import { internalRoutes, testRoutes } from '../../../src/http/routes/internal.ts';
import type { Route } from '../../../src/http/route.ts';
import { type HttpRig, httpRig } from '../../support/http-rig.ts';
import { type Row, walk } from './walk.ts';

const json = { 'content-type': 'application/json' };

/** What is the same for all routes of a kind: the token, the body, the method. Taken from their declarations. */
export function walkEveryRoute(): void {
  describe('every route', () => {
    let on: HttpRig;
    beforeAll(async () => {
      on = await httpRig({
        prepare: () => ({ spec: null, args: ['--enable-failpoints'] }),
        until: 'empty',
      });
    });
    afterAll(() => on.it.stop());

    test('that needs a token says what is wrong with the one it gets', async () => {
      const token = (...given: Parameters<typeof mintToken>): RequestInit => ({
        headers: { authorization: `Bearer ${mintToken(...given)}` },
      });
      const key = on.it.keys.privateKey;
      const cases: [RequestInit, number, RegExp][] = [
        [{}, 401, /^{"error":"invalid authorization token"}$/],
        [{ headers: { authorization: 'Basic x' } }, 400, /^{"error":"invalid authorization token"}$/],
        [
          { headers: { authorization: 'Bearer a.b.c' } },
          401,
          /^{"error":"failed to verify authorization token"}$/,
        ],
        [
          token({ key, for: { computeId: 'compute-2' } }),
          403,
          /^{"error":"invalid compute ID in authorization token claims"}$/,
        ],
      ];
      const locked = externalRoutes.filter(({ auth }) => auth === 'jwt');
      expect(locked.length).toBeGreaterThan(12);
      for (const { method, path } of locked) {
        await walk(
          on,
          cases.map(([options, status, body]): Row => [
            'external',
            `${method} ${path}`,
            status,
            body,
            options,
          ]),
        );
      }
    });

    test('that takes a body says what is wrong with it', async () => {
      const rows = (server: Row[0], { method, path }: Route): Row[] => {
        const sent = (body: string, headers: Record<string, string> = json): RequestInit => ({
          headers: { ...on.bearer(), ...headers },
          body,
        });
        const request = `${method} ${path}` as Row[1];
        return [
          [server, request, 415, /content-type/, sent('{}', { 'content-type': 'text/plain' })],
          [server, request, 400, /^{"error":"failed to parse the request body as json/, sent('{')],
          [
            server,
            request,
            422,
            /^{"error":"failed to deserialize the json body into the target type/,
            sent('1'),
          ],
          [server, request, 413, /length limit exceeded/, sent(`"${'x'.repeat(2_100_000)}"`)],
        ];
      };
      const external = externalRoutes.filter(({ body }) => body !== undefined);
      const internal = [...internalRoutes, ...testRoutes].filter(({ body }) => body !== undefined);
      expect([external.length, internal.length]).toEqual([2, 3]);
      for (const route of external) await walk(on, rows('external', route));
      for (const route of internal) await walk(on, rows('internal', route));
    });

    test('of the internal server refuses a page in a browser', async () => {
      const evil = { headers: { origin: 'http://evil.example' } };
      const rows = [...internalRoutes, ...testRoutes].map(({ method, path, tail }): Row => [
        'internal',
        `${method} ${path}${tail === undefined ? '' : 'anon'}` as Row[1],
        403,
        /^{"error":"this server is for programs on this machine: /,
        evil,
      ]);
      await walk(on, rows);
    });

    test('is unknown to the other server, and has no other methods', async () => {
      const { httpPort: external } = on.it;
      const { internalPort: internal } = on;
      const rows: [port: number, method: string, path: string, status: number][] = [
        [external, 'GET', '/nothing', 404],
        [external, 'GET', '/status/', 404],
        [external, 'POST', '/extension_server/anon', 404],
        ...externalRoutes.map(({ method, path }): (typeof rows)[number] => [internal, method, path, 404]),
        ...internalRoutes.map(({ method, path }): (typeof rows)[number] => [external, method, path, 404]),
        [external, 'POST', '/status', 405],
        [external, 'GET', '/configure', 405],
        [external, 'POST', '/database_schema', 405],
        [internal, 'GET', '/grants', 405],
      ];
      for (const [port, method, path, status] of rows) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
        expect([method, path, answer.status, await answer.text()]).toEqual([method, path, status, '']);
      }
    });
  });
}
