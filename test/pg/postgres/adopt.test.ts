import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { parseLsn } from '../../../src/core/lsn.ts';
import { markerFile } from '../../../src/postgres/marker.ts';
import { preparePgdata } from '../../../src/postgres/prepare.ts';
import { adoptPrepared } from '../../../src/postgres/prepared/adopt.ts';
import {
  type PreparedNote,
  markPrepared,
  noteFile,
  noteText,
  preparedMarker,
} from '../../../src/postgres/prepared/note.ts';
import { openDirectory } from '../../../src/process/dir-fd.ts';
import { scratchDir } from '../../support/cluster.ts';

const lsn = (text: string) => parseLsn(text)!;
const note: PreparedNote = {
  tenantId: 'a',
  timelineId: 'b',
  lsn: lsn('0/2000148'),
  checkpoint: lsn('0/20000D0'),
  systemId: '7',
  postgresMajor: 17,
  postgresTimeline: 1,
  bootId: 'boot',
  version: '1.0.0',
};
const keep = new Set(['postgresql.conf', markerFile]);

let home: string;
let pgdata: string;
let prepared: string;
beforeEach(async () => {
  home = scratchDir('adopt');
  [pgdata, prepared] = [join(home, 'pgdata'), join(home, 'pgdata.next')];
  await preparePgdata(pgdata, never);
  writeFileSync(join(pgdata, 'postgresql.conf'), 'ours');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function control(): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(7n, 0);
  bytes.writeUInt32LE(2, 16);
  bytes.writeBigUInt64LE(note.checkpoint, 32);
  return bytes;
}

function make(path = prepared): void {
  mkdirSync(path, { mode: 0o700 });
  const fd = openDirectory(path);
  markPrepared(fd);
  closeSync(fd);
  for (const name of ['global', 'base', 'pg_wal']) mkdirSync(join(path, name));
  writeFileSync(join(path, 'global/pg_control'), control());
  writeFileSync(join(path, 'PG_VERSION'), '17\n');
  writeFileSync(join(path, 'postgresql.conf'), 'theirs');
  writeFileSync(join(path, noteFile), noteText(note));
}

const adopt = (wanted: PreparedNote | null = note): string | null =>
  adoptPrepared({ prepared, pgdata, keep, wanted });
const aside = (): string[] => readdirSync(home).filter((name) => /^pgdata\.old-[0-9a-f]{16}$/.test(name));

test('what was prepared for this start becomes the data directory, which keeps its own files', () => {
  make();
  expect(adopt()).toBeNull();
  const expected = ['PG_VERSION', 'base', markerFile, 'global', 'pg_wal', 'postgresql.conf'];
  expect(readdirSync(pgdata).toSorted()).toEqual(expected.toSorted());
  expect(readFileSync(join(pgdata, 'postgresql.conf'), 'utf8')).toBe('ours');
  expect(existsSync(prepared)).toBe(false);
  expect(readdirSync(join(home, aside()[0]!)).toSorted()).toEqual([preparedMarker, 'postgresql.conf']);
});

test('what was prepared for another start is moved aside as a whole, and the data directory stays empty', () => {
  const refused = (change: () => void, wanted: PreparedNote | null = note): string | null => {
    make();
    change();
    const why = adopt(wanted);
    expect(existsSync(prepared)).toBe(false);
    expect(aside()).toHaveLength(1);
    expect(readdirSync(pgdata).toSorted()).toEqual([markerFile, 'postgresql.conf'].toSorted());
    rmSync(join(home, aside()[0]!), { recursive: true });
    return why;
  };
  expect(refused(() => {}, { ...note, lsn: lsn('0/2000150') })).toContain('it ends at LSN 0/2000148');
  expect(refused(() => {}, { ...note, timelineId: 'c' })).toContain('timeline b');
  expect(refused(() => {}, null)).toContain('only a primary');
  expect(refused(() => rmSync(join(prepared, noteFile)))).toContain('not complete');
  expect(refused(() => writeFileSync(join(prepared, noteFile), '{'))).toContain('note cannot be read');
  expect(refused(() => rmSync(join(prepared, 'global/pg_control')))).toContain('not stopped in order');
  expect(refused(() => symlinkSync('/etc', join(prepared, 'pg_xact')))).toContain('pg_xact');
});

test("somebody else's directory, a link and a copy are left alone", () => {
  mkdirSync(prepared);
  writeFileSync(join(prepared, noteFile), noteText(note));
  expect(adopt()).toContain('left alone');
  expect(readdirSync(prepared)).toEqual([noteFile]);
  rmSync(prepared, { recursive: true });
  symlinkSync('/etc', prepared);
  expect(adopt()).toContain('left alone');
  rmSync(prepared);
  expect(adopt()).toBe('there is none');
  make(join(home, 'elsewhere'));
  mkdirSync(prepared);
  renameSync(join(home, 'elsewhere', preparedMarker), join(prepared, preparedMarker));
  expect(adopt()).toContain('left alone');
  expect(adoptPrepared({ prepared: '/tmp/x', pgdata, keep, wanted: note })).toContain('not beside');
});

test('a data directory that holds something is not filled', () => {
  make();
  mkdirSync(join(pgdata, 'pg_wal'));
  expect(adopt()).toBe('the data directory holds pg_wal');
});
