import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { inline } from '../../../../src/core/errors.ts';
import { Failpoints } from '../../../../src/core/failpoints.ts';
import { Metrics } from '../../../../src/metrics/registry.ts';
import type { ExtensionStore } from '../../../../src/services/extensions/store.ts';
import {
  archive,
  files,
  found,
  gateway,
  inInstallation,
  lib,
  share,
  storeAt,
  useInstallation,
} from '../../../support/extension-store.ts';
import { makeTarball } from '../../../support/fake-storage.ts';
import { startFileServer } from '../../../support/file-server.ts';

useInstallation();

const installed = ['demo--1.0.sql', 'demo/data.csv'];

test('an extension is downloaded from the address of the original, and only its files are installed', async () => {
  const content = await archive();
  const { server, store, metrics } = await gateway(content);
  expect(await store.bring('demo', never)).toBe(content.length);
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  expect(server.requests.map(({ url }) => url)).toEqual([`/base/latest/${arch}/v17/extensions/demo.tar.zst`]);
  for (const name of installed) expect(existsSync(share(name))).toBe(true);
  expect(readFileSync(lib('demo.so'), 'utf8')).toBe('machine code');
  expect(statSync(lib('demo.so')).mode & 0o7777).toBe(0o755);
  expect(found()).toHaveLength(3);
  expect(await metrics.render()).toContain(
    'compute_ctl_remote_ext_requests_total{filename="demo.tar.zst",http_status="200 OK"} 1',
  );
});

test('however many ask for an extension at once, it is downloaded once, and once is enough', async () => {
  const { server, store } = await gateway(await archive());
  const sizes = await Promise.all(Array.from({ length: 20 }, () => store.bring('demo', never)));
  expect(sizes.filter((size) => size > 0)).toHaveLength(1);
  expect(await store.bring('demo', never)).toBe(0);
  expect(server.requests).toHaveLength(1);
});

test('all who wait hear of a failure, and the next one that asks begins anew', async () => {
  const { server, store } = await gateway(await archive(), [404]);
  const failed = await Promise.all([1, 2, 3].map(() => store.bring('demo', never).catch(inline)));
  for (const said of failed)
    expect(said).toContain('unexpected remote extensions server response status code: 404 Not Found');
  expect(server.requests).toHaveLength(1);
  expect(await store.bring('demo', never)).toBeGreaterThan(0);
});

test('who no longer waits does not end the download for the others', async () => {
  const { store } = await gateway(await archive(), [503]);
  const impatient = new AbortController();
  const first = store.bring('demo', impatient.signal).catch(() => 'left');
  const second = store.bring('demo', never);
  impatient.abort();
  expect(await first).toBe('left');
  expect(await second).toBe(0);
  expect(found()).toHaveLength(3);
});

test('an archive of many frames, as some programs write them, is read to its end', async () => {
  const tar = await makeTarball(files, { gzip: false });
  const frames = [tar.subarray(0, 700), tar.subarray(700, 701), tar.subarray(701)].map((one) =>
    zstdCompressSync(one),
  );
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const { store } = await gateway(Buffer.concat([skippable, ...frames, skippable]));
  await store.bring('demo', never);
  expect(found()).toHaveLength(3);
});

test('a newer version of an extension replaces the files that were installed before, and no others', async () => {
  await (await gateway(await archive())).store.bring('demo', never);
  const newer = files.map((file) => ({ ...file, body: 'newer' }));
  await (await gateway(await archive(newer))).store.bring('demo', never);
  expect(readFileSync(lib('demo.so'), 'utf8')).toBe('newer');
  const other = await gateway(await archive(files));
  expect(await other.store.bring('other', never).catch(inline)).toContain('would replace');
  expect(readFileSync(lib('demo.so'), 'utf8')).toBe('newer');
});

test('two extensions may have the same file', async () => {
  await (await gateway(await archive())).store.bring('demo', never);
  const both = [...files, { name: 'lib/other.so', body: 'x' }];
  await (await gateway(await archive(both))).store.bring('other', never);
  expect(existsSync(lib('other.so'))).toBe(true);
});

test('what a process left that ended in the middle is removed by the next one', async () => {
  const work = inInstallation('download_extensions');
  mkdirSync(join(work, 'part-999999-1-1/lib'), { recursive: true });
  writeFileSync(join(work, 'part-999999-1-1/archive'), 'half');
  writeFileSync(lib('half.so'), 'half');
  writeFileSync(
    join(work, 'half.files.json'),
    JSON.stringify({ complete: false, owner: '999999-1', files: [lib('half.so'), lib('not-yet.so')] }),
  );
  await (await gateway(await archive())).store.bring('demo', never);
  expect(found()).toHaveLength(3);
  expect(readdirSync(work)).toEqual(['demo.files.json']);
});

test('an installation that fails in the middle takes back what it has begun', async () => {
  mkdirSync(share('demo--1.0.sql'));
  const { store } = await gateway(await archive());
  expect(await store.bring('demo', never).catch(inline)).toContain('would replace');
  expect(found()).toEqual([]);
});

test.each(['compute-extension-download', 'compute-extension-install'])(
  '%s fails one extension, of which nothing stays, and the next one that asks gets it',
  async (point) => {
    const server = await startFileServer(await archive());
    onTestFinished(() => server.stop());
    const points = new Failpoints();
    const base = `${new URL(server.url).origin}/base/`;
    const store = storeAt(base, new Metrics(), never, points);
    points.set(point, 'return(other)');
    expect(await store.bring('demo', never)).toBeGreaterThan(0);
    for (const name of found()) rmSync(inInstallation(name));
    const again = storeAt(base, new Metrics(), never, points);
    points.set(point, '1*return(demo)');
    expect(await again.bring('demo', never).catch(inline)).toContain(`${point} failpoint`);
    expect(found()).toEqual([]);
    expect(await again.bring('demo', never)).toBeGreaterThan(0);
    expect(found()).toHaveLength(3);
  },
);

test('without pg_config and without the usual directories the message says what is missing', async () => {
  rmSync(share('plpgsql.control'));
  const { store } = await gateway(await archive());
  expect(await store.bring('demo', never).catch(inline)).toContain('there is no');
  writeFileSync(share('plpgsql.control'), '');
  expect(await store.bring('demo', never)).toBeGreaterThan(0);
});

test('pg_config says where the directories are', async () => {
  const elsewhere = inInstallation('elsewhere');
  for (const dir of ['share/extension', 'lib']) mkdirSync(join(elsewhere, dir), { recursive: true });
  writeFileSync(
    inInstallation('bin/pg_config'),
    `#!/bin/sh\necho ${elsewhere}/share\necho ${elsewhere}/lib\n`,
  );
  chmodSync(inInstallation('bin/pg_config'), 0o755);
  await (await gateway(await archive())).store.bring('demo', never);
  expect(existsSync(join(elsewhere, 'lib/demo.so'))).toBe(true);
});

const control = (names: Record<string, string>): Parameters<ExtensionStore['writeControlFiles']>[0] => ({
  public_extensions: ['demo'],
  custom_extensions: [],
  library_index: {},
  extension_data: {
    demo: { control_data: names, archive_path: '' },
    hidden: { control_data: { 'hidden.control': 'x' }, archive_path: '' },
  },
});

test('control files come from the spec, unless there is one already; also without a gateway', async () => {
  const { store } = await gateway(await archive());
  writeFileSync(share('old.control'), 'old');
  await store.writeControlFiles(control({ 'demo.control': 'new', 'old.control': 'new' }), never);
  expect(readFileSync(share('demo.control'), 'utf8')).toBe('new');
  expect(readFileSync(share('old.control'), 'utf8')).toBe('old');
  expect(existsSync(share('hidden.control'))).toBe(false);
});

test.each(['../x.control', '/etc/x.control', 'x.sql', '.', 'a/b.control', 'x.control\0'])(
  'a control file named %j is refused',
  async (name) => {
    const { store } = await gateway(await archive());
    const said = await store.writeControlFiles(control({ [name]: 'x' }), never).catch(inline);
    expect(said).toContain('is not the name of a control file');
    expect(found()).toEqual([]);
  },
);
