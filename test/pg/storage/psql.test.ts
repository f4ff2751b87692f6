import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WireError, type WireServer, serveWire, startupOptions } from '../../../src/wire/server.ts';
import { makeTarball } from '../../support/fake-storage.ts';

const run = promisify(execFile);
let server: WireServer;
let url = '';

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

beforeAll(async () => {
  const big = Array.from({ length: 50 }, (_, at) => ({
    name: `base/1/${at}`,
    body: Buffer.alloc(100_000, at),
  }));
  const tarball = await makeTarball([{ name: 'PG_VERSION', body: '15' }, ...big], { gzip: false });
  server = serveWire({
    password: async (token) =>
      token === 'right' ? null : new WireError('XX000', 'JWT authentication error'),
    async onQuery(session, text) {
      if (text.startsWith('basebackup')) return session.copyOut(pieces(tarball), 'SELECT 1');
      if (text === 'boom') throw new WireError('XX000', 'not found');
      const options = startupOptions(session.parameters.get('options') ?? '');
      await session.rows(['tenant', 'nothing'], [[options.get('tenant_id') ?? '', null]], 'SELECT 1');
    },
  });
  const { port } = await server.listen(0, '127.0.0.1');
  url = `postgresql://no_user@127.0.0.1:${port}/db`;
});
afterAll(() => server.close(AbortSignal.abort()));

const psql = (command: string, password = 'right') =>
  run('psql', ['-XAt', '-P', 'null=NULL', url, '-c', command], {
    env: { ...process.env, PGPASSWORD: password, PGOPTIONS: '-c timeline_id=l tenant_id=t' },
    timeout: 20_000,
  });

test('psql shows rows and its own start-up options', async () => {
  expect((await psql('which tenant')).stdout).toBe('t|NULL\n');
});

test('psql shows errors and a refused password', async () => {
  await expect(psql('boom')).rejects.toMatchObject({ stderr: 'ERROR:  not found\n' });
  await expect(psql('x', 'wrong')).rejects.toMatchObject({
    stderr: expect.stringContaining('JWT authentication error') as string,
  });
});

test('psql pipes a base backup into tar', async () => {
  const script = `psql -X "$0" -c 'basebackup t l' | tar tf - | wc -l`;
  const env = { ...process.env, PGPASSWORD: 'right' };
  const { stdout } = await run('sh', ['-c', script, url], { env, timeout: 20_000 });
  expect(stdout.trim()).toBe('51');
});
