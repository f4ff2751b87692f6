import { SignJWT } from 'jose';
import { eventually } from '../../support/program.ts';
import { issuer } from '../../support/tokens.ts';
import type { Mistake } from './mistake.ts';
import { type Scene, shared } from './scene.ts';

/** A compute that runs, for everything that is only asked of it. */
const running = shared(async (scene) => {
  const it = await scene.compute();
  it.start({ args: ['--internal-http-host', '127.0.0.1'] });
  await it.until('running');
});

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Options of curl, as shown. */
  readonly shown?: string;
  /** False for requests that cannot be read, which anybody can send. */
  readonly isLogged?: boolean;
}

/** What the client gets, and what the log says about it. */
async function ask(
  scene: Scene,
  { method = 'GET', path, headers = {}, body, shown = '', isLogged = true }: Asked,
): Promise<string> {
  const it = await scene.compute();
  const before = it.log().length;
  const answer = await fetch(`http://127.0.0.1:${it.httpPort}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const text = await answer.text();
  const logged = (): true | undefined => /error_code=/.test(it.log().slice(before)) || undefined;
  if (isLogged) await eventually('the log has the refusal', logged);
  const lines = it
    .log()
    .slice(before)
    .split('\n')
    .filter((line) => /error_code=|token refused/.test(line));
  return scene.stable(
    [
      `$ curl ${shown}http://127.0.0.1:3080${path}`,
      `${answer.status} ${text}`,
      ...lines.map((line) => `log: ${line}`),
    ].join('\n'),
  );
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

async function withToken(
  make: (it: Awaited<ReturnType<Scene['compute']>>) => Promise<string>,
): Promise<string> {
  const scene = await running();
  const token = await make(await scene.compute());
  return ask(scene, { path: '/status', headers: bearer(token), shown: "-H 'Authorization: Bearer TOKEN' " });
}

const valid = async (scene: Scene): Promise<Record<string, string>> =>
  bearer(await (await scene.compute()).keys.token({ compute_id: 'compute-1' }));

async function post(path: string, body: string, type = 'application/json'): Promise<string> {
  const scene = await running();
  const headers = { ...(await valid(scene)), 'content-type': type };
  return ask(scene, { method: 'POST', path, headers, body, shown: '-X POST … ', isLogged: false });
}

/** Requests to the HTTP API. */
export const requests: readonly Mistake[] = [
  {
    code: 'bad_token',
    title: 'The token has expired',
    provoke: () =>
      withToken(({ keys }) =>
        new SignJWT({ compute_id: 'compute-1' })
          .setProtectedHeader({ alg: 'EdDSA', kid: 'test' })
          .setExpirationTime(Math.floor(Date.now() / 1000) - 3600)
          .sign(keys.privateKey),
      ),
  },
  {
    code: 'bad_token',
    title: 'The token is signed with another key',
    provoke: () => withToken(() => issuer().token({ compute_id: 'compute-1' })),
  },
  {
    code: 'bad_token',
    title: 'A token is missing',
    provoke: async () => ask(await running(), { path: '/status' }),
  },
  {
    code: 'no_token',
    title: 'A password is sent instead of a token',
    provoke: async () =>
      ask(await running(), {
        path: '/status',
        headers: { authorization: 'Basic dTpw' },
        shown: '-u user:password ',
      }),
  },
  {
    code: 'forbidden',
    title: 'The token is for another compute',
    provoke: () => withToken(({ keys }) => keys.token({ compute_id: 'compute-2' })),
  },
  {
    code: 'bad_request',
    showsCode: false,
    title: 'The body is not JSON',
    provoke: () => post('/configure', '{"spec": '),
  },
  {
    code: 'unsupported_media',
    showsCode: false,
    title: 'The body is sent as a form',
    provoke: () => post('/configure', 'spec=1', 'application/x-www-form-urlencoded'),
  },
  {
    code: 'not_found',
    title: 'The database does not exist',
    provoke: async () => {
      const scene = await running();
      return ask(scene, { path: '/database_schema?database=shop', headers: await valid(scene), shown: '… ' });
    },
  },
];
