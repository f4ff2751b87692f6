import { afterEach, describe, expect, test } from 'vitest';
import { type HttpRig, httpRig } from '../../support/http-rig.ts';
import { type Row, walk } from './walk.ts';

let on: HttpRig;
const remote = {
  public_extensions: ['anon'],
  custom_extensions: ['hll', 'lost'],
  library_index: { anon: 'anon', secret: 'secret' },
  extension_data: {
    anon: { control_data: {}, archive_path: 'a.tar.zst' },
    hll: { control_data: {}, archive_path: 'h' },
  },
};

const missing = (target: string, words: string): Row => [
  'internal',
  `POST /extension_server/${target}`,
  404,
  new RegExp(`^{"error":"${words} is not found"}$`),
];

/** What is asked of the extension server, with and without what it would need. */
export function walkTheExtensions(): void {
  describe('the extension server', () => {
    afterEach(() => on.it.stop());

    test('a remote extension is looked for where the contract says, in its order', async () => {
      const args = ['--remote-ext-base-url', 'http://127.0.0.1:1'];
      on = await httpRig({ prepare: (it) => ({ spec: it.spec({ remote_extensions: remote }), args }) });
      await walk(on, [
        missing('nothing', 'extension nothing'),
        missing('nothing.so?is_library=true', 'library nothing'),
        missing('secret.so?is_library=true', 'extension secret'),
        missing('lost', 'real_ext_name lost'),
        [
          'internal',
          'POST /extension_server/anon',
          500,
          /^{"error":"(?:extensions cannot be installed|could not download)/,
        ],
        ['internal', 'POST /extension_server/anon?is_library=yes', 400, /^{"error":".*is_library/],
        ['internal', 'POST /extension_server/', 404, /^$/],
      ]);
      const without = on.posting(on.it.config(on.it.spec()));
      await walk(on, [
        ['external', 'POST /configure', 200, /"status":"running"/, without],
        [
          'internal',
          'POST /extension_server/anon',
          409,
          /^{"error":"information about remote extensions is unavailable"}$/,
        ],
      ]);
    });

    test('without a spec there is no list to look in', async () => {
      const args = ['--remote-ext-base-url', 'http://127.0.0.1:1'];
      on = await httpRig({ prepare: () => ({ spec: null, args }), until: 'empty' });
      await walk(on, [
        ['internal', 'POST /extension_server/anon', 412, /^{"error":"invalid compute status: empty"}$/],
      ]);
      on.program.kill('SIGTERM');
      expect(await on.program.exited()).toBe(0);
    });
  });
}
