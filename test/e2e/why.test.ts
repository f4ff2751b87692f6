import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Rig, rig } from '../support/compute.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

/** A spec with these lines in postgresql.conf. */
function specWith(...settings: readonly [name: string, value: string][]): object {
  const spec = it.spec();
  const cluster = spec['cluster'] as { settings: object[] };
  for (const [name, value] of settings) cluster.settings.push({ name, value, vartype: 'string' });
  return spec;
}

const lastLine = (stderr: string): string => stderr.trimEnd().split('\n').at(-1) ?? '';

test('a failed start tells step, code, hint and what PostgreSQL said, in /status and as the last thing in the log', async () => {
  const spec = specWith(['shared_preload_libraries', 'no_such_library'], ['log_line_prefix', '%m [%p] %e ']);
  const program = it.start({ spec });
  const { error, failure } = await it.until('failed');
  expect(error).toMatch(
    /^Postgres exited unexpectedly with code 1\n\nCaused by:\n {4}PostgreSQL: FATAL 58P01: .*no_such_library.*\n\nHint: .*\nStep: start-postgres\nSQLSTATE: 58P01\nCode: postgres_start$/s,
  );
  expect(failure).toEqual({
    code: 'postgres_start',
    step: 'start-postgres',
    sqlstate: '58P01',
    postgres: expect.stringContaining('no_such_library') as string,
    hint: expect.stringContaining('correct what PostgreSQL names') as string,
    since: expect.stringMatching(/Z$/) as string,
  });
  expect(await program.exited()).toBe(1);
  expect(lastLine(program.stderr())).toMatch(
    /ERROR compute_ctl exits: Postgres exited .*no_such_library.* \(HINT: .*\) code=postgres_start step=start-postgres sqlstate=58P01$/,
  );
});

test('the last line of a JSON log says the same in fields', async () => {
  it.pageserver.script.fault = 'cut-middle';
  const program = it.start({ args: ['--log-format', 'json'] });
  expect(await it.until('failed')).toMatchObject({
    failure: { code: 'basebackup', step: 'fetch-base-backup' },
  });
  expect(await program.exited()).toBe(1);
  const last = JSON.parse(lastLine(program.stderr())) as Record<string, unknown>;
  expect(last).toMatchObject({ code: 'basebackup', step: 'fetch-base-backup' });
});

test('a Postgres that is killed while it serves has a code of its own, and the exit says what to look at', async () => {
  const program = it.start();
  expect(await it.until('running')).not.toHaveProperty('failure');
  process.kill(Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10), 'SIGKILL');
  await program.exited();
  expect(lastLine(program.stderr())).toMatch(/Postgres exited unexpectedly.*dmesg.* code=postgres_exited/);
});

test('a start that was asked to stop does not end with an error', async () => {
  const program = it.start();
  await it.until('running');
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(program.stderr()).not.toContain('compute_ctl exits');
});
