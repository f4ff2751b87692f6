import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { becomes, poolerRig, wanted } from '../../support/pooler-rig.ts';

const never = new AbortController().signal;
const it = poolerRig();
const { bench, ini } = it;

test('a console that does not answer holds nobody up', async () => {
  const server = createServer(() => {}).listen(it.pooler.port, '127.0.0.1');
  await once(server, 'listening');
  const service = await bench().start(wanted({ default_pool_size: '7' }));
  await service.reconfigure(wanted({ default_pool_size: '8' }), never);
  await becomes(service, 'failed', expect.stringMatching(/timeout|took longer|deadline/i));
  await service.reconfigure(wanted({ default_pool_size: '9' }), never);
  await expect.poll(ini).toContain('= 9');
  await service.end?.(never);
  expect(ini()).not.toContain('compute_ctl');
  server.close();
});

test('a missing file, one without the section, and one that cannot be written are said, and tried again', async () => {
  const image = ini();
  rmSync(it.pooler.ini);
  const service = await bench().start(wanted({ default_pool_size: '7' }));
  await becomes(service, 'failed', expect.stringMatching(/pgbouncer\.ini.*ENOENT/));
  writeFileSync(it.pooler.ini, '[databases]\n');
  await becomes(service, 'failed', expect.stringContaining('does not have a section [pgbouncer]'));
  writeFileSync(it.pooler.ini, image);
  await expect.poll(ini).toContain('default_pool_size = 7');
  await service.stop(never).catch(() => {});
  expect(ini()).toBe(image);
});

test.skipIf(process.getuid?.() === 0)(
  'in a directory of somebody else the file itself is written, and without that right nothing',
  async () => {
    const image = ini();
    chmodSync(it.pooler.ini, 0o444);
    chmodSync(it.home, 0o555);
    const service = await bench().start(wanted({ default_pool_size: '7' }));
    await becomes(service, 'failed', expect.stringMatching(/pgbouncer\.ini.*EACCES/));
    expect(ini()).toBe(image);
    chmodSync(it.pooler.ini, 0o644);
    const { ino } = statSync(it.pooler.ini);
    await expect.poll(ini).toContain('default_pool_size = 7');
    await service.stop(never).catch(() => {});
    expect(ini()).toBe(image);
    expect(statSync(it.pooler.ini).ino).toBe(ino);
  },
);

test('a link stays a link, and mode and owner stay', async () => {
  const real = join(it.home, 'real', 'pgbouncer.ini');
  mkdirSync(join(it.home, 'real'));
  renameSync(it.pooler.ini, real);
  symlinkSync(real, it.pooler.ini);
  chmodSync(real, 0o640);
  const { mode, uid, ino } = statSync(real);
  const service = await bench().start(wanted({ default_pool_size: '7' }));
  await expect.poll(ini).toContain('default_pool_size = 7');
  expect(statSync(real)).toMatchObject({ mode, uid });
  expect(statSync(real).ino).not.toBe(ino);
  expect(readFileSync(it.pooler.ini, 'utf8')).toBe(readFileSync(real, 'utf8'));
  await service.stop(never).catch(() => {});
});

test('lines of the image in another encoding stay as they are', async () => {
  const image = Buffer.from('[databases]\nx = password=caf\u00e9\n[pgbouncer]\nauth_type = any\n', 'latin1');
  writeFileSync(it.pooler.ini, image);
  const service = await bench().start(wanted({ auth_query: 'select \u00e9' }));
  const added = Buffer.from('; compute_ctl added: auth_query\nauth_query = select \u00e9\n');
  await expect.poll(() => readFileSync(it.pooler.ini)).toEqual(Buffer.concat([image, added]));
  await service.stop(never).catch(() => {});
  expect(readFileSync(it.pooler.ini)).toEqual(image);
});

test('settings that would make the file too large to be read again are not written', async () => {
  const image = ini();
  const many = Array.from({ length: 200 }, (_, at) => [`setting_${at}`, 'x'.repeat(8000)] as const);
  const service = await bench().start(wanted(Object.fromEntries(many)));
  await becomes(service, 'failed', expect.stringContaining('it would have more than'));
  expect(ini()).toBe(image);
  await service.stop(never);
});
