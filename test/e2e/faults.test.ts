import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { overrideFile } from '../../src/postgres/files.ts';
import { markerFile } from '../../src/postgres/marker.ts';
import { type Rig, baseBackup, processesIn, rig } from '../support/compute.ts';
import {
  type PageserverScript,
  corrupted,
  makeTarball,
  minimalEntries,
  truncated,
} from '../support/fake-storage.ts';
import { eventually } from '../support/program.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

/** The start fails with a reason that can be read, the directory is empty, no process is left, the exit code says so. */
async function expectFailure(reason: RegExp, args: readonly string[] = []): Promise<void> {
  const program = it.start({ args });
  const { error } = await it.until('failed', 40_000);
  expect(error).toMatch(reason);
  expect(readdirSync(it.pgdata).filter((name) => name !== 'postgresql.conf')).toEqual([markerFile]);
  expect(await program.exited()).toBe(1);
  expect(processesIn(it.pgdata)).toEqual([]);
}

const evil = (name: string) => makeTarball([...minimalEntries, { name, body: 'gotcha' }]);

const cases: [string, RegExp, () => Promise<Partial<PageserverScript>> | Partial<PageserverScript>][] = [
  ['breaks off', /failed to get basebackup@0\/169B1D8/, () => ({ fault: 'cut-middle' })],
  ['ends early', /failed to get basebackup/, () => ({ tarball: truncated(baseBackup()) })],
  ['carries an error after its end', /injected/, () => ({ fault: 'error-after' })],
  ['carries an error in its middle', /injected/, () => ({ fault: 'error-middle' })],
  ['has a wrong checksum', /failed to get basebackup/, () => ({ tarball: corrupted(baseBackup()) })],
  ['holds ../evil', /evil/, async () => ({ tarball: await evil('../evil') })],
  [
    'holds an absolute link out',
    /evil/,
    async () => ({
      tarball: await makeTarball([
        ...minimalEntries,
        { name: 'evil', type: 'symlink', linkname: '/etc' },
        { name: 'evil/passwd', body: 'root::0:0' },
      ]),
    }),
  ],
];

test.each(cases)('a base backup that %s fails the start and leaves nothing', async (_, reason, script) => {
  Object.assign(it.pageserver.script, await script());
  await expectFailure(reason);
  expect(existsSync(join(it.home, 'evil'))).toBe(false);
});

test('a pageserver that never answers fails the start within its limit', async () => {
  it.pageserver.script.fault = 'silent';
  await expectFailure(/1000 ms/, ['--basebackup-idle-timeout', '1']);
});

test('a pageserver that stops in the middle fails the start within its limit', async () => {
  it.pageserver.script.fault = 'stall-middle';
  await expectFailure(/1000 ms/, ['--basebackup-idle-timeout', '1']);
});

test('a base backup that fails once is fetched again into an empty directory', async () => {
  Object.assign(it.pageserver.script, { fault: 'error-middle', faults: 1 });
  it.start({ env: { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: '3' } });
  await it.until('running');
  expect(it.pageserver.commands).toHaveLength(2);
});

test('a safekeeper that never answers fails the start: there is no LSN to start at', async () => {
  it.safekeeper.script.fault = 'silent';
  await expectFailure(/failed to sync safekeepers/, ['--sync-timeout', '1']);
});

test('a timeline that the pageserver does not know fails at once, in its own words', async () => {
  Object.assign(it.pageserver.script, {
    fault: 'error-before',
    error: { sqlstate: 'XX000', message: 'not found' },
  });
  it.start({ env: { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: '10' } });
  const { error } = await it.until('failed');
  expect(error).toContain('not found');
  expect(it.pageserver.commands).toHaveLength(1);
});

test('a signal in the middle of a start ends it at once and leaves no process', async () => {
  it.pageserver.script.fault = 'stall-middle';
  const program = it.start();
  await it.until('init');
  program.kill('SIGTERM');
  expect(await program.exited(5000)).toBe(0);
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('a start that fails late keeps PGDATA, with the reason in its log', async () => {
  const cluster = it.spec()['cluster'] as object;
  // Nothing but the catalog pass objects: Postgres runs by then.
  const spec = it.spec({
    cluster: { ...cluster, databases: [{ name: 'shop', owner: 'nobody', options: null }] },
  });
  const program = it.start({ spec });
  await it.until('failed', 40_000);
  expect(await program.exited()).toBe(1);
  expect(readdirSync(it.pgdata)).toEqual(expect.arrayContaining(['PG_VERSION', 'base', 'postgresql.conf']));
  expect(processesIn(it.pgdata)).toEqual([]);
  it.start();
  expect(await it.until('running')).toMatchObject({ error: null });
});

test('core dumps are looked for after a failed start, too', async () => {
  const tarball = await makeTarball([...minimalEntries, { name: 'core.4711', body: 'not really' }]);
  it.pageserver.script.tarball = tarball;
  const program = it.start();
  await it.until('failed', 40_000);
  expect(await program.exited()).toBe(1);
  expect(program.stderr()).toMatch(/core\.4711/);
});

test('an unhandled rejection is one fatal line, stops Postgres in order and has an exit code of its own', async () => {
  const preload = join(it.home, 'defect.cjs');
  writeFileSync(preload, "process.once('SIGUSR2', () => void Promise.reject(new Error('boom')));");
  const program = it.start({ env: { NODE_OPTIONS: `--require ${preload}` } });
  await it.until('running');
  program.kill('SIGUSR2');
  expect(await program.exited()).toBe(70);
  expect(program.stderr().match(/FATAL.*boom/g)).toHaveLength(1);
  expect(program.stderr()).toContain('database system is shut down');
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('a reload that fails does not leave the size limit lifted', async () => {
  const program = it.start();
  await it.until('running');
  const override = join(it.pgdata, overrideFile);
  expect(readFileSync(override, 'utf8')).toBe('');
  // Nobody can log in any more, so whether the settings are in force cannot be seen.
  writeFileSync(join(it.pgdata, 'pg_hba.conf'), 'host all all all reject\n');
  process.kill(Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10), 'SIGHUP');
  await eventually(
    'a refusal',
    () => program.stderr().includes('pg_hba.conf rejects connection') || undefined,
  );
  const answer = await it.http('POST', '/configure', it.config(it.spec()));
  expect(answer.status).toBe(500);
  expect(readFileSync(override, 'utf8')).toBe('');
});
