import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { constants, crc32, deflateRawSync, gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { expect, onTestFinished, test } from 'vitest';
import { type Snapshot, gzipArchive, plainArchive } from '../../../../src/local/storage/archive.ts';
import { type TarEntry, withoutTarEnd, writeTar } from '../../../../src/tar/write.ts';

const mtime = new Date(0);
const file = (name: string, content: Buffer): TarEntry => ({ name, mode: 0o600, mtime, content });

async function snapshot(entries: readonly TarEntry[]): Promise<Snapshot> {
  const dir = mkdtempSync(join(tmpdir(), 'archive-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const tar = await buffer(withoutTarEnd(writeTar(entries)));
  writeFileSync(join(dir, 'base'), deflateRawSync(tar, { finishFlush: constants.Z_FULL_FLUSH }));
  writeFileSync(join(dir, 'whole'), Buffer.alloc(1000, 'w'));
  const base = { file: join(dir, 'base'), crc32: crc32(tar), tarBytes: tar.length } as Snapshot['base'];
  const segments = [
    { number: 1, name: 'one', path: join(dir, 'whole'), partial: false },
    { number: 2, name: 'two', path: join(dir, 'two.partial'), partial: true },
  ];
  return { base, segments, partial: Buffer.alloc(600, 'p'), generation: 7 };
}

async function read(archive: Buffer): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const parser = extract();
  parser.end(archive);
  for await (const entry of parser)
    found.set(entry.header.name, (await buffer(entry as AsyncIterable<Buffer>)).toString());
  return found;
}

test('base and WAL become one gzip member around one tar archive', async () => {
  const parts = await snapshot([
    file('PG_VERSION', Buffer.from('15\n')),
    { name: 'base', mode: 0o755, mtime, content: null },
  ]);
  const found = await read(gunzipSync(await buffer(gzipArchive(parts))));
  expect([...found.keys()]).toEqual([
    'PG_VERSION',
    'base',
    'pg_hba.conf',
    'pg_ident.conf',
    'postgresql.auto.conf',
    'compute_local.generation',
    'pg_wal/one',
    'pg_wal/two',
  ]);
  expect(found.get('compute_local.generation')).toBe('7\n');
  expect(found.get('pg_wal/two')).toBe('p'.repeat(600));
});

test('without --gzip the same archive comes uncompressed', async () => {
  const parts = await snapshot([file('big', Buffer.alloc(3_000_000, 'abc'))]);
  const found = await read(await buffer(plainArchive(parts)));
  expect(found.get('big')?.length).toBe(3_000_000);
  expect(found.get('pg_wal/one')).toBe('w'.repeat(1000));
});

test('a base whose checksum is wrong is not sent as if it were whole', async () => {
  const parts = await snapshot([file('a', Buffer.from('a'))]);
  const damaged = { ...parts, base: { ...parts.base, crc32: 1 } };
  await expect(buffer(plainArchive(damaged))).rejects.toThrow('checksum is wrong');
  await expect(buffer(gzipArchive(damaged)).then(gunzipSync)).rejects.toThrow('incorrect data check');
});

test('a copy for somebody who may not write carries no generation', async () => {
  const parts = await snapshot([]);
  const found = await read(gunzipSync(await buffer(gzipArchive({ ...parts, generation: null }))));
  expect(found.has('compute_local.generation')).toBe(false);
});

test('a WAL segment that is missing breaks the archive off with an error', async () => {
  const parts = await snapshot([]);
  const segments = [{ number: 1, name: 'gone', path: '/nowhere/gone', partial: false }];
  await expect(buffer(gzipArchive({ ...parts, segments }))).rejects.toThrow('ENOENT');
});
