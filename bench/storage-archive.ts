import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type TarballEntry, makeTarball } from '../test/support/fake-storage.ts';

export interface Archive {
  readonly gz: Buffer;
  readonly gzFile: string;
  readonly tarFile: string;
}

/** As a pageserver makes it: about a thousand entries and hardly any data, since the relations stay there. */
export async function storageArchive(home: string): Promise<Archive> {
  const directories =
    `global pg_wal/archive_status pg_commit_ts pg_dynshmem pg_notify pg_serial pg_snapshots pg_subtrans pg_twophase
    pg_multixact pg_multixact/members pg_multixact/offsets base base/1 pg_replslot pg_tblspc pg_stat pg_stat_tmp pg_xact pg_logical
    pg_logical/snapshots pg_logical/mappings`.split(/\s+/);
  const directory = (name: string): TarballEntry => ({ name, type: 'directory' });
  const zeros = (name: string, bytes: number): TarballEntry => ({ name, body: Buffer.alloc(bytes) });
  const databases = Array.from({ length: 310 }, (_, i) => `base/${i === 0 ? 1 : 16_384 + i}`);
  const entries: TarballEntry[] = [
    ...directories.map(directory),
    { name: 'pg_hba.conf', body: 'local all all trust\nhost all all 127.0.0.1/32 trust\n' },
    { name: 'pg_ident.conf' },
    { name: 'postgresql.auto.conf' },
    ...['pg_xact', 'pg_multixact/members', 'pg_multixact/offsets'].map((slru) => zeros(`${slru}/0000`, 8192)),
    { name: 'PG_VERSION', body: '15' },
    zeros('global/pg_filenode.map', 512),
    ...databases.flatMap((base) => [
      ...(base === 'base/1' ? [] : [directory(base)]),
      { name: `${base}/PG_VERSION`, body: '15' },
      zeros(`${base}/pg_filenode.map`, 512),
    ]),
    { name: 'neon.signal', body: 'PREV LSN: 0/169B1A0' },
    { name: 'zenith.signal', body: 'PREV LSN: 0/169B1A0' },
    zeros('global/pg_control', 8192),
    zeros('pg_wal/000000010000000000000001', 16 * 1024 * 1024),
  ];
  const tar = await makeTarball(entries, { gzip: false });
  const gz = gzipSync(tar, { level: 1 });
  const [tarFile, gzFile] = [join(home, 'storage.tar'), join(home, 'storage.tar.gz')];
  writeFileSync(tarFile, tar);
  writeFileSync(gzFile, gz);
  return { gz, gzFile, tarFile };
}
