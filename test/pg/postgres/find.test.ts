import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pino } from 'pino';
import { reportCoreDumps } from '../../../src/postgres/core-dumps.ts';
import { findRunAs } from '../../../src/process/os-user.ts';
import { locatePostgres } from '../../../src/postgres/postgres-bin.ts';
import { scratchDir } from '../../support/cluster.ts';
import { defaultPostgres, installedPostgres, osUser } from '../../support/postgres-versions.ts';
import { never } from './servers.ts';

const locate = (pgbin: string, env = process.env) => locatePostgres(pgbin, env, osUser, never);

test.each(installedPostgres())(
  'PostgreSQL $major is found in PATH and by its path',
  async ({ bindir, major }) => {
    const path = join(bindir, 'postgres');
    const byPath = await locate(path);
    expect(byPath).toMatchObject({ path, dir: bindir, major });
    expect(byPath.sibling('initdb')).toBe(join(bindir, 'initdb'));
    expect(await locate('postgres', { PATH: `/nowhere:${bindir}` })).toMatchObject({ path, major });
  },
);

test('a link to postgres leads to its siblings; other programs and versions are refused', async () => {
  const dir = scratchDir('find');
  try {
    const { bindir } = defaultPostgres();
    symlinkSync(join(bindir, 'postgres'), join(dir, 'pg'));
    expect((await locate(join(dir, 'pg'))).dir).toBe(bindir);
    await expect(locate('/bin/true')).rejects.toMatchObject({ code: 'postgres_version' });
    const old = join(dir, 'postgres');
    writeFileSync(old, '#!/bin/sh\necho "postgres (PostgreSQL) 13.9"\n');
    chmodSync(old, 0o755);
    await expect(locate(old)).rejects.toThrow(`${old} is PostgreSQL 13.9`);
    mkdirSync(join(dir, 'folder', 'postgres'), { recursive: true });
    await expect(locate('postgres', { PATH: join(dir, 'folder') })).rejects.toMatchObject({
      code: 'postgres_missing',
      hint: expect.stringContaining('--pgbin') as string,
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('postgres_missing: the postgres program is named as such also when it is there but cannot be run', async () => {
  const dir = scratchDir('find');
  try {
    const path = join(dir, 'postgres');
    writeFileSync(path, '#!/no/such/interpreter\n', { mode: 0o755 });
    await expect(locate(path)).rejects.toMatchObject({
      code: 'postgres_missing',
      message: expect.stringContaining(`cannot start ${path}`) as string,
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.runIf(process.getuid?.() === 0)(
  'the user of Postgres is found; a missing one and root are refused',
  async () => {
    expect(await findRunAs('postgres')).toEqual(osUser);
    await expect(findRunAs('no-such-user')).rejects.toMatchObject({ code: 'os_user' });
    await expect(findRunAs('root')).rejects.toMatchObject({ code: 'os_user' });
  },
);

test('program_missing: a debugger that is not there is not taken for a missing Postgres', async () => {
  const dir = scratchDir('core');
  const path = process.env['PATH'];
  const lines: string[] = [];
  try {
    writeFileSync(join(dir, 'core'), 'not really');
    process.env['PATH'] = dir;
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    expect(await reportCoreDumps(dir, '/bin/true', log, never)).toBe(0);
    expect(lines.join('')).toContain('there is no debugger: cannot start lldb: ENOENT');
  } finally {
    process.env['PATH'] = path;
    rmSync(dir, { recursive: true });
  }
});

test('a core dump is reported, and what is wrong with it is not an error', async () => {
  const dir = scratchDir('core');
  try {
    writeFileSync(join(dir, 'core.7'), 'not really');
    const { bindir } = defaultPostgres();
    const report = reportCoreDumps(dir, join(bindir, 'postgres'), pino({ level: 'silent' }), never);
    expect(await report).toBe(1);
    expect(await reportCoreDumps(join(dir, 'none'), '/bin/true', pino({ level: 'silent' }), never)).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
