import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Rig, baseBackup, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

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
    /ERROR compute_ctl exits: Postgres exited .*no_such_library.* \(HINT: .*\) error_code=postgres_start step=start-postgres sqlstate=58P01$/,
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
  expect(last).toMatchObject({ error_code: 'basebackup', step: 'fetch-base-backup' });
});

test.each([
  [
    'killed',
    'SIGKILL',
    /Postgres exited unexpectedly with signal SIGKILL .*dmesg.* error_code=postgres_exited$/,
  ],
  [
    'stopped by somebody else',
    'SIGINT',
    /Postgres exited unexpectedly with code 0 .* error_code=postgres_exited$/,
  ],
] as const)(
  'a Postgres that is %s while it serves has a code of its own, and the last line says what to do',
  async (_, signal, last) => {
    const program = it.start();
    expect(await it.until('running')).not.toHaveProperty('failure');
    process.kill(Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10), signal);
    await program.exited();
    expect(lastLine(program.stderr())).toMatch(last);
  },
);

test('a server that crashes while the catalog is applied is quoted, whether connections hear why or only that it recovers', async () => {
  const dir = join(it.home, 'damaged');
  mkdirSync(dir);
  execFileSync('tar', ['xzf', '-', '-C', dir], { input: baseBackup() });
  rmSync(join(dir, 'global/pg_filenode.map'));
  const damaged = await rig(
    defaultPostgres(),
    execFileSync('tar', ['czf', '-', '-C', dir, '.'], { maxBuffer: 1 << 28 }),
  );
  try {
    damaged.start();
    const { failure } = await damaged.until('failed');
    expect(failure).toMatchObject({
      step: 'apply-catalog',
      postgres: expect.stringMatching(/(?:FATAL|PANIC): .*pg_filenode\.map/) as string,
    });
  } finally {
    await damaged.stop();
  }
});

test('a start that was asked to stop does not end with an error', async () => {
  const program = it.start();
  await it.until('running');
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(program.stderr()).not.toContain('compute_ctl exits');
});

interface Retrying {
  readonly what: string;
  readonly failures: number;
}

/** Waits until the status says that something is retried. */
const retried = (what: string, failures = 1): Promise<Retrying> =>
  eventually(`${what} is retried`, async () => {
    const { retrying = [] } = (await it.http('GET', '/status')).json<{ retrying?: Retrying[] }>();
    return retrying.find((one) => one.what === what && one.failures >= failures);
  });

const time = expect.stringMatching(/^\d{4}-.*Z$/) as string;

test('while the pageserver is retried, /status says how often, why and when it gives up', async () => {
  Object.assign(it.pageserver.script, { fault: 'error-middle', faults: 2 });
  it.start({ env: { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: '5' } });
  expect(await retried('pageserver')).toMatchObject({
    since: time,
    error: expect.stringContaining('injected') as string,
    max_attempts: 6,
    gives_up: time,
  });
  expect(await it.until('running')).not.toHaveProperty('retrying');
});

test('while postgres --sync-safekeepers waits for a quorum, /status says for whom and why', async () => {
  it.safekeeper.script.fault = 'silent';
  // As Neon's does without a quorum; a stock PostgreSQL does not know the option.
  const pgbin = join(it.home, 'postgres');
  const real = join(defaultPostgres().bindir, 'postgres');
  writeFileSync(pgbin, `#!/bin/sh\n[ "$1" != --sync-safekeepers ] || exec sleep 600\nexec ${real} "$@"\n`);
  chmodSync(pgbin, 0o755);
  const program = it.start({ args: ['--pgbin', pgbin] });
  expect(await retried('safekeepers')).toMatchObject({
    since: time,
    error: expect.stringContaining('0 of 1 safekeepers know the timeline') as string,
    next_try: null,
    max_attempts: 6,
    gives_up: time,
  });
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('while the safekeepers are asked again because PostgreSQL is a stock one, /status says why and until when', async () => {
  it.safekeeper.script.fault = 'close';
  it.start();
  expect(await retried('safekeepers', 2)).toMatchObject({
    since: time,
    error: expect.stringContaining('0 of 1 safekeepers know the timeline') as string,
    max_attempts: null,
    gives_up: time,
  });
  delete it.safekeeper.script.fault;
  expect(await it.until('running')).not.toHaveProperty('retrying');
});

test('while the control plane does not answer, the log says so, and a refresh shows it in /status', async () => {
  const answers: { status: number }[] = [];
  const server = createServer((_, response) => {
    const { status } = answers.shift() ?? { status: 200 };
    const body = JSON.stringify({ status: 'attached', ...it.config(it.spec()) });
    response.writeHead(status, { 'content-type': 'application/json' }).end(status === 200 ? body : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    answers.push({ status: 503 });
    const program = it.run(['-i', 'compute-1', '-p', `http://127.0.0.1:${port}`], {
      NEON_CONTROL_PLANE_TOKEN: 'x',
    });
    await it.until('running');
    expect(program.stderr()).toContain(
      'the control plane is asked again: control plane is temporarily unavailable',
    );
    answers.push(...Array.from({ length: 3 }, () => ({ status: 503 })));
    program.kill('SIGHUP');
    expect(await retried('refresh')).toMatchObject({
      since: time,
      error: expect.stringMatching(/temporarily unavailable.*--control-plane-uri/) as string,
      max_attempts: null,
      gives_up: null,
    });
    expect(await it.until('running')).not.toHaveProperty('retrying');
  } finally {
    server.close();
  }
});

test('migrations that a stop cuts off are not reported as failed', async () => {
  // It never begins: the stop comes while it is under way.
  const program = it.start({ args: ['--enable-failpoints'], env: { FAILPOINTS: 'compute-migration=pause' } });
  await it.until('running');
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(program.stderr()).toContain('the migrations were stopped before their end, with the compute');
  expect(program.stderr()).not.toMatch(/(?:WARN|ERROR) .*igration/);
});
