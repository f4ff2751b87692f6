import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRetryable } from '../../../src/storage/retryable.ts';
import { HostileArchive } from '../../../src/tar/extract.ts';
import { unpack } from '../../../src/tar/unpack.ts';

const { signal } = new AbortController();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'sparse-'));
  mkdirSync(join(home, 'data/base/5'), { recursive: true });
  writeFileSync(join(home, 'data/PG_VERSION'), '15\n');
  // All hole, with data in many places (more than fit into one header), and at the beginning alone.
  for (const name of ['hole', 'many', 'tail']) writeFileSync(join(home, 'data/base/5', name), '');
  truncateSync(join(home, 'data/base/5/hole'), 1024 * 1024);
  writeFileSync(join(home, 'data/base/5/tail'), 'x');
  truncateSync(join(home, 'data/base/5/tail'), 8 * 1024 * 1024);
  const many = openSync(join(home, 'data/base/5/many'), 'r+');
  for (let at = 0; at < 4_000_000; at += 100_000) writeSync(many, 'x', at);
  closeSync(many);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const formats: readonly (readonly string[])[] = [
  ['--format=gnu'],
  ['--format=oldgnu'],
  ['--format=posix'],
  ...['0.0', '0.1', '1.0'].map((version) => ['--format=pax', `--sparse-version=${version}`]),
];
const names = ['hole', 'many', 'tail'].map((name) => `base/5/${name}`);

/** Unpacks it into an empty directory. @returns the failure, and what is there afterwards */
async function unpacked(archive: Buffer): Promise<{ error: unknown; left: string[] }> {
  const dir = mkdtempSync(join(home, 'into-'));
  const source = (async function* () {
    for (let at = 0; at < archive.length; at += 700) yield archive.subarray(at, at + 700);
  })();
  const error: unknown = await unpack(source, { dir, gzip: false }, signal).then(
    () => null,
    (failure: unknown) => failure,
  );
  return { error, left: (readdirSync(dir, { recursive: true }) as string[]).toSorted() };
}

test.each(formats.flatMap((format) => names.map((name) => [format.join(' '), name, format] as const)))(
  'a sparse file of tar %s is refused by its own name: %s',
  async (_, name, format) => {
    const made = [
      '--sparse',
      '--hole-detection=raw',
      ...format,
      '-C',
      join(home, 'data'),
      '-cf',
      '-',
      'PG_VERSION',
      name,
    ];
    const { error, left } = await unpacked(execFileSync('tar', made, { maxBuffer: 1e9 }));
    expect(error).toBeInstanceOf(HostileArchive);
    expect(error).toMatchObject({
      code: 'archive_invalid',
      message: `archive entry "${name}" is refused: it is stored as a sparse file`,
      hint: expect.stringContaining('--sparse'),
    });
    expect(isRetryable(error)).toBe(false);
    expect(left).toEqual(['PG_VERSION']);
  },
);

test('files that could be sparse, but are stored whole, are unpacked', async () => {
  const made = ['--format=pax', '-C', join(home, 'data'), '-cf', '-', '.'];
  const { error, left } = await unpacked(execFileSync('tar', made, { maxBuffer: 1e9 }));
  expect(error).toBeNull();
  expect(left).toEqual(expect.arrayContaining(['PG_VERSION', ...names]));
});

/** An archive of tar with a record of ours in its pax headers: with `:=` in that of the entry, else in that of all entries. */
function withRecord(record: string): Buffer {
  // tar does not take its own records.
  const archive = execFileSync('tar', [
    '--format=pax',
    `--pax-option=${record.replace('GNU.sparse.xy', 'SUN.holesdata')}`,
    '-C',
    join(home, 'data'),
    '-cf',
    '-',
    'PG_VERSION',
  ]);
  return Buffer.from(
    archive.toString('latin1').replace('SUN.holesdata', /^[\w.]+/.exec(record)?.[0] ?? ''),
    'latin1',
  );
}

test.each(['SCHILY.realsize:=99', 'SUN.holesdata:= 0 5', 'GNU.sparse.xy:=2', 'SCHILY.realsize=99'])(
  'the record %s of another program, a later version, or for all entries is refused, too',
  async (record) => {
    const { error, left } = await unpacked(withRecord(record));
    expect(error).toMatchObject({
      message: 'archive entry "PG_VERSION" is refused: it is stored as a sparse file',
    });
    expect(left).toEqual([]);
  },
);

test('a record for all entries that says nothing of their content is no obstacle', async () => {
  const { error, left } = await unpacked(withRecord('comment=made by somebody'));
  expect(error).toBeNull();
  expect(left).toEqual(['PG_VERSION']);
});
