import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { type Rig, rig } from '../support/compute.ts';
import { localRig } from '../support/local.ts';
import { eventually, programFile, startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

/** Runs a program to its end. */
async function run(name: 'compute_ctl' | 'compute-local', args: readonly string[], before = '') {
  const program = startProgram(name, args, {}, 'pipe', before);
  const code = await program.exited();
  return { code, stderr: program.stderr() };
}

test('a file in place of the directory is called a file, without a path of the process', async () => {
  const home = scratchDir('messages');
  const file = join(home, 'file');
  writeFileSync(file, '');
  for (const command of ['up', 'status']) {
    const { code, stderr } = await run('compute-local', [command, '--dir', file]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(file)]);
    expect(stderr).toMatch(/ is (?:a file|not a directory).*\nHint: .*\nCode: \w+_refused\n/);
    expect(stderr).not.toContain('/proc/');
  }
});

test('one port for two servers of compute-local is refused as that', async () => {
  const dir = join(scratchDir('messages'), 'local');
  const { code, stderr } = await run('compute-local', [
    'up',
    '--dir',
    dir,
    '--port',
    '4000',
    '--http-port',
    '4000',
  ]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/port 4000 cannot be for Postgres .* and the HTTP API .* at once\nHint: /);
});

test('a wrong option of compute-local names the nearest one, and where the help is', async () => {
  const { code, stderr } = await run('compute-local', ['up', '--dri', 'x']);
  expect([code, stderr]).toEqual([
    2,
    "Error: unknown option '--dri' (did you mean --dir?)\nHint: see 'compute-local up --help'\n",
  ]);
  // The first word is right.
  const more = await run('compute-local', ['status', 'one', 'two']);
  expect(more.stderr).toMatch(/^Error: unexpected argument 'two': status takes \[name\]\nHint: /);
});

test('a reader of the output that has gone is no failure, and a full disk is one', () => {
  const program = `'${process.execPath}' '${programFile('compute-local')}'`;
  const shell = (line: string) => spawnSync('bash', ['-c', line], { encoding: 'utf8' });
  const gone = shell(`${program} --help | true; exit \${PIPESTATUS[0]}`);
  expect([gone.status, gone.stderr]).toEqual([0, '']);
  const full = shell(`${program} status --dir ${join(scratchDir('messages'), 'local')} > /dev/full`);
  expect(full.status).toBe(1);
  expect(full.stderr).toMatch(/^Error: the output could not be written: .*\nHint: .*\nCode: system\n$/);
});

const mayDrop =
  process.getuid?.() === 0 && spawnSync('setpriv', ['--bounding-set=-all', 'true']).status === 0;

test.runIf(mayDrop)('root without its capabilities is told which ones are missing', async () => {
  const home = scratchDir('messages');
  chmodSync(home, 0o755);
  const drop = 'set -- setpriv --inh-caps=-all --bounding-set=-all "$@"';
  const { code, stderr } = await run('compute-local', ['up', '--dir', join(home, 'local')], drop);
  expect(code).toBe(1);
  expect(stderr).toMatch(/local is refused: cannot (?:give|create) it.*\nHint: .*capabilit.*DAC_OVERRIDE/);
  expect(stderr).not.toContain('/proc/');
});

test('psql gets its own options, and promote says what it lacks', { timeout: 120_000 }, async () => {
  const local = localRig();
  try {
    await local.upAndReady();
    const asked = await local.command('psql', '-Atc', 'select 41 + 1');
    expect(asked).toMatchObject({ code: 0, stdout: '42\n' });
    const { code, stderr } = await local.command('promote');
    expect(code).toBe(1);
    expect(stderr).toMatch(/there is no replica with the name "replica" to promote\nHint: .*up --replica/);
    const other = await local.command('promote', '--name', 'second');
    expect(other.stderr).toMatch(/"second" to promote\nHint: .*up --replica --name second/);
  } finally {
    await local.clean();
  }
});

/** What it says whose Postgres finds its port taken, without a front, which would have it first: found free, it is needed only after the first base backup. */
async function withTakenPort(): Promise<string> {
  const local = localRig();
  const other = createServer();
  try {
    const port = await freePort();
    const program = local.up(['--port', String(port), '--suspend-after', '0']);
    await eventually('it creates a cluster', () => program.stdout().includes('"progress"') || undefined);
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    expect(await program.exited(100_000)).toBe(1);
    return program.stderr();
  } finally {
    other.close();
    await local.clean();
  }
}

test('compute-local says why its compute did not start', { timeout: 120_000 }, async () => {
  let said = await withTakenPort();
  // Another test, which runs at the same time, took a port of the storage first.
  for (let again = 1; again <= 2 && said.endsWith('\nCode: port\n'); again++) said = await withTakenPort();
  expect(said).toContain('Address already in use');
  expect(said).toMatch(/\nHint: .*\nCode: postgres_start\n$/);
});

test('a port in use is refused on the first start, too, before anything is created', async () => {
  const dir = join(scratchDir('messages'), 'local');
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await run('compute-local', ['up', '--dir', dir, '--port', String(port)]);
  other.close();
  expect([code, stderr]).toEqual([1, expect.stringMatching(/another program uses port .*\nCode: port\n$/s)]);
});

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

test('a bare spec is called one, whichever way it comes, and a config in its place, too', async () => {
  const file = join(it.home, 'given.json');
  writeFileSync(file, JSON.stringify(it.spec()));
  const config = await run('compute_ctl', ['check', '-c', file, '-i', 'compute-1']);
  expect(config.stderr).toMatch(/given\.json cannot be used: this is a spec without .*\nHint: .*-S/);
  writeFileSync(file, JSON.stringify(it.config(it.spec())));
  const spec = await run('compute_ctl', ['check', '-S', file]);
  expect(spec.stderr).toMatch(/this is a config with a spec in it.*\nHint: .*--config/);
  it.start();
  await it.until('running');
  const answer = await it.http('POST', '/configure', it.spec());
  expect([answer.status, answer.body]).toEqual([422, expect.stringContaining('this is a spec without')]);
});

test('a connection string that cannot be used is named', async () => {
  const file = join(it.home, 'config.json');
  writeFileSync(file, JSON.stringify(it.config(it.spec())));
  const own = await run('compute_ctl', [
    '-D',
    join(it.home, 'x'),
    '-C',
    'hush',
    '-c',
    file,
    '-i',
    'compute-1',
  ]);
  expect(own.stderr).toMatch(/Hint: correct --connstr/);
  expect(own.stderr).not.toContain('hush');
  it.start({ spec: it.spec({ pageserver_connstring: 'postgresql://no_user@' }) });
  const { failure, error } = await it.until('failed');
  expect(failure).toMatchObject({
    code: 'basebackup',
    hint: expect.stringContaining('postgresql://') as string,
  });
  expect(error).toContain('connection string of the pageserver in the spec: ');
});

test('a directory of compute_ctl that is not ours is refused with what is in it, and how to go on', async () => {
  mkdirSync(it.pgdata);
  writeFileSync(join(it.pgdata, 'PG_VERSION'), '17\n');
  const { code, stderr } = await run('compute_ctl', [
    '-D',
    it.pgdata,
    '-C',
    'postgresql://a@b/c',
    '-S',
    '/dev/null',
  ]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/pgdata.*PG_VERSION.*\nHint: /);
});
