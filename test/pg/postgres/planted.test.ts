import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isReady } from '../../../src/local/storage/compute-link.ts';
import { segmentName } from '../../../src/local/storage/segments.ts';
import { WalPages } from '../../../src/local/storage/wal-pages.ts';
import { openLog } from '../../../src/local/prepare.ts';
import { localDir } from '../../../src/local/state.ts';
import { reportCoreDumps } from '../../../src/postgres/core-dumps.ts';
import {
  copyFormerSignal,
  createStandbySignal,
  ensureHbaLine,
  overrideFile,
  writeOverride,
} from '../../../src/postgres/files.ts';
import { readPostmasterPid } from '../../../src/postgres/postmaster-pid.ts';
import { readPidFile } from '../../../src/process/pid-file.ts';
import { scratchDir } from '../../support/cluster.ts';

// What other code of the same OS user may put where compute_ctl expects a file of its own. Each of these would hang, or would
// follow the link, if it were opened as usual.

const never = new AbortController().signal;
let home: string;
let precious: string;
beforeEach(() => {
  home = scratchDir('planted');
  precious = join(home, 'precious');
  writeFileSync(precious, 'all of it');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const plants: Record<string, (path: string) => void> = {
  link: (path) => symlinkSync(precious, path),
  'dangling link': (path) => symlinkSync(join(home, 'nothing'), path),
  fifo: (path) => execFileSync('mkfifo', [path]),
  directory: (path) => mkdirSync(path),
  device: (path) => symlinkSync('/dev/zero', path),
};

describe.each(Object.entries(plants))('a %s', (_, plant) => {
  afterEach(() => {
    if (readFileSync(precious, 'utf8') !== 'all of it') throw new Error('the target of the link was changed');
  });

  test('in place of pg_hba.conf is refused', async () => {
    plant(join(home, 'pg_hba.conf'));
    await expect(ensureHbaLine(home)).rejects.toThrow('pg_hba.conf');
  });

  test('in place of standby.signal is refused', () => {
    plant(join(home, 'standby.signal'));
    expect(() => createStandbySignal(home)).toThrow('standby.signal');
  });

  test('in place of zenith.signal is refused', () => {
    plant(join(home, 'zenith.signal'));
    expect(() => copyFormerSignal(home)).toThrow('zenith.signal');
  });

  test('in place of postmaster.pid is refused', () => {
    plant(join(home, 'postmaster.pid'));
    expect(() => readPostmasterPid(home)).toThrow('postmaster.pid');
  });

  test('in place of a core dump is not given to the debugger', async () => {
    plant(join(home, 'core.4711'));
    expect(await reportCoreDumps(home, '/usr/bin/true', pino({ enabled: false }), never)).toBe(0);
  });

  test("in place of the socket's lock file is not a server that is ready", () => {
    plant(join(home, '.s.PGSQL.5432.lock'));
    expect(isReady({ dir: home, port: 5432 })).toBe(false);
  });

  test('in place of a pid file names no process', () => {
    plant(join(home, 'storage.pid'));
    expect(readPidFile(join(home, 'storage.pid'))).toBeNull();
  });

  test('in place of a partial segment of the storage is refused', () => {
    const bytes = 1024 * 1024;
    plant(join(home, `${segmentName(1, bytes)}.partial`));
    expect(() => new WalPages(home, bytes).page(bytes)).toThrow('.partial');
  });

  test('in place of a log of compute-local is refused', () => {
    mkdirSync(join(home, 'log'));
    plant(join(home, 'log', 'compute_ctl.log'));
    expect(() => openLog(localDir(home), 'compute_ctl')).toThrow('compute_ctl.log');
  });
});

test('a link in place of a file that is written is replaced, and its target stays', async () => {
  symlinkSync(precious, join(home, overrideFile));
  symlinkSync(precious, join(home, `${overrideFile}.new`));
  await writeOverride(home);
  expect(readFileSync(join(home, overrideFile), 'utf8')).toContain('max_cluster_size');
  expect(() => readlinkSync(join(home, overrideFile))).toThrow();
  expect(readFileSync(precious, 'utf8')).toBe('all of it');
});
