import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { inline } from '../../../../src/core/errors.ts';
import {
  archive,
  files,
  found,
  gateway,
  inInstallation,
  lib,
  storeAt,
  useInstallation,
} from '../../../support/extension-store.ts';
import { startFileServer } from '../../../support/file-server.ts';
import { eventually } from '../../../support/program.ts';

useInstallation();

const changed = async (change: (content: Buffer) => Buffer): Promise<Buffer> => change(await archive());

test.each<[string, () => Promise<Buffer>, string]>([
  ['is cut off', () => changed((content) => content.subarray(0, -20)), 'damaged or cut off'],
  ['is no archive', async () => Buffer.from('<html>not found</html>'), 'damaged or cut off'],
  ['is empty', async () => Buffer.alloc(0), 'damaged or cut off'],
  [
    'goes on with something else',
    () => changed((content) => Buffer.concat([content, Buffer.from('more')])),
    'damaged or cut off',
  ],
  [
    'is compressed, but no tar',
    async () => zstdCompressSync(Buffer.alloc(3000, 'x')),
    'the archive is damaged',
  ],
  ['leads out of it', () => archive([{ name: 'lib/../../../etc/passwd', body: 'x' }]), 'leads out'],
  [
    'has a link',
    () => archive([{ name: 'lib/demo.so', type: 'symlink', linkname: '/etc/passwd' }]),
    'neither a file nor a directory',
  ],
  [
    'has a hard link',
    () => archive([{ name: 'lib/demo.so', type: 'link', linkname: '/etc/passwd' }]),
    'neither a file nor a directory',
  ],
  [
    'has a device',
    () => archive([{ name: 'share/extension/null', type: 'character-device' }]),
    'neither a file nor a directory',
  ],
  [
    'has a fifo',
    () => archive([{ name: 'share/extension/fifo', type: 'fifo' }]),
    'neither a file nor a directory',
  ],
  [
    'has a file in place of a directory',
    () => archive([...files, { name: 'lib/demo.so/x', body: 'x' }]),
    'leads through a link or file',
  ],
  [
    'would replace a library of PostgreSQL',
    () => archive([...files, { name: 'lib/plpgsql.so', body: 'evil' }]),
    'would replace',
  ],
])('an archive that %s is refused, and leaves nothing', async (_, make, said) => {
  const { store } = await gateway(await make());
  expect(await store.bring('demo', never).catch(inline)).toContain(said);
  expect(found()).toEqual([]);
  expect(readFileSync(lib('plpgsql.so'), 'utf8')).toBe('');
});

test.each(['../x', 'a/b', 'a:b', '..', '', 'a\0b', 'a\\b', '\ud800'])(
  'a name such as %j, which would lead to another address, is refused',
  async (name) => {
    const { server, store } = await gateway(await archive());
    expect(await store.bring(name, never).catch(inline)).toContain('cannot be the name of an extension');
    expect(server.requests).toEqual([]);
  },
);

test('an archive with a note of what is installed is refused: the next start would remove what it names', async () => {
  // Only a work directory beside the control files is where an archive can reach.
  writeFileSync(inInstallation('download_extensions'), 'in the way');
  const victim = inInstallation('victim');
  writeFileSync(victim, 'mine');
  const note = JSON.stringify({ complete: false, owner: '999999-1', files: [victim] });
  const name = 'share/extension/.download_extensions/demo2.files.json';
  const { store } = await gateway(await archive([...files, { name, body: note }]));
  expect(await store.bring('demo', never).catch(inline)).toContain('notes of what is installed');
  await (await gateway(await archive())).store.bring('demo', never);
  expect(readFileSync(victim, 'utf8')).toBe('mine');
});

test('of two extensions that come at once with different files of one name, the second is refused', async () => {
  const bodies = new Map<string, Buffer>();
  for (const name of ['one', 'two']) {
    const same = Array.from({ length: 30 }, (_, at) => ({ name: `lib/same-${at}.so`, body: name }));
    bodies.set(name, await archive(same));
  }
  const server = createServer(({ url = '' }, response) =>
    response.end(bodies.get(url.includes('one.') ? 'one' : 'two')),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const store = storeAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const said = await Promise.all(['one', 'two'].map((name) => store.bring(name, never).catch(inline)));
  expect(said.filter((one) => String(one).includes('would replace'))).toHaveLength(1);
  const bytes = new Set(readdirSync(lib()).map((name) => readFileSync(lib(name), 'utf8')));
  expect(bytes.size).toBe(2); // PL/pgSQL's, and those of one of the two
});

test('a stop ends the unpacking of an archive of countless tiny frames', async () => {
  const frame = zstdCompressSync(Buffer.alloc(0));
  const server = await startFileServer(Buffer.concat(Array.from({ length: 200_000 }, () => frame)));
  onTestFinished(() => server.stop());
  const stop = new AbortController();
  const store = storeAt(`${new URL(server.url).origin}/`, undefined, stop.signal);
  const bringing = store.bring('demo', never).catch(inline);
  const part = await eventually('the archive', () =>
    server.requests.length === 0 ? undefined : readdirSync(inInstallation('download_extensions'))[0],
  );
  expect(part).toMatch(/^part-/);
  stop.abort();
  expect(await bringing).toContain('aborted');
  await eventually('nothing is left', () =>
    readdirSync(inInstallation('download_extensions')).length === 0 ? true : undefined,
  );
});
