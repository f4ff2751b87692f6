import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Lsn, formatLsn } from '../../../src/core/lsn.ts';
import { withPg } from '../../../src/pg/client.ts';
import { shutdownCheckpoint } from '../../../src/postgres/control-file.ts';
import { locatePostgres } from '../../../src/postgres/postgres-bin.ts';
import { knowsSync } from '../../../src/postgres/sync-support.ts';
import { initialised, scratchDir, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';

const never = new AbortController().signal;
const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
let dir = '';
beforeEach(() => {
  dir = scratchDir('sync-support');
});
afterEach(() => rmSync(dir, { recursive: true }));

describe.each(installedPostgres())('PostgreSQL $major', (installed) => {
  test('does not know --sync-safekeepers', async () => {
    const bin = await locatePostgres(join(installed.bindir, 'postgres'), env, never);
    expect(await knowsSync(bin, env, never)).toBe(false);
  });

  test('says where its last checkpoint began, once it was stopped cleanly, and nothing while it runs', async () => {
    const cluster = await startCluster({ postgres: installed });
    try {
      const options = { applicationName: 'test', connectMs: 10_000, queryMs: 10_000, signal: never };
      const { rows } = await withPg(cluster.target, options, (pg) =>
        pg.query<{ at: string }>('select checkpoint_lsn::text as at from pg_control_checkpoint()'),
      );
      // The server has not made one since it started from this directory.
      expect(formatLsn((await shutdownCheckpoint(initialised(installed))) ?? (0n as Lsn))).toBe(rows[0]?.at);
      expect(await shutdownCheckpoint(cluster.dataDir)).toBeNull();
    } finally {
      await cluster.stop();
    }
  });
});

test('of a server that was not stopped cleanly, or that has no control file, nobody knows where its WAL ends', async () => {
  const [installed] = installedPostgres();
  if (installed === undefined) throw new Error('no PostgreSQL');
  mkdirSync(join(dir, 'global'));
  expect(await shutdownCheckpoint(dir)).toBeNull();
  const file = join(dir, 'global/pg_control');
  cpSync(join(initialised(installed), 'global/pg_control'), file);
  expect(await shutdownCheckpoint(dir)).not.toBeNull();
  // DB_IN_PRODUCTION: what a crash leaves.
  execFileSync('sh', ['-c', `printf '\\006' | dd of='${file}' bs=1 seek=16 conv=notrunc 2>/dev/null`]);
  expect(await shutdownCheckpoint(dir)).toBeNull();
  writeFileSync(file, 'short');
  expect(await shutdownCheckpoint(dir)).toBeNull();
});

test('a program that mentions --sync-safekeepers has it, also where reading it is cut in the middle of the word', async () => {
  const bin = { path: join(dir, 'postgres'), sibling: (name: string) => join(dir, name) };
  for (const before of [0, 1024 * 1024 - 9, 3 * 1024 * 1024 - 1]) {
    writeFileSync(bin.path, Buffer.concat([Buffer.alloc(before), Buffer.from('sync-safekeepers\0')]));
    expect([before, await knowsSync(bin, env, never)]).toEqual([before, true]);
  }
});

test('a script that starts another postgres has it where the library of Neon is installed', async () => {
  const bin = { path: join(dir, 'postgres'), sibling: (name: string) => join(dir, name) };
  writeFileSync(bin.path, '#!/bin/sh\nexec /opt/postgres "$@"\n');
  expect(await knowsSync(bin, env, never)).toBe(false);
  writeFileSync(bin.sibling('pg_config'), `#!/bin/sh\necho ${dir}\n`);
  chmodSync(bin.sibling('pg_config'), 0o755);
  expect(await knowsSync(bin, env, never)).toBe(false);
  writeFileSync(join(dir, 'neon.so'), '');
  expect(await knowsSync(bin, env, never)).toBe(true);
});
