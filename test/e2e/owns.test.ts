import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { defaultPostgres, osUser } from '../support/postgres-versions.ts';
import { startProgram } from '../support/program.ts';

let it: LocalRig;
beforeEach(() => {
  it = localRig();
});
afterEach(() => it.clean());

/** Creates files with what is above them, as the user that compute-local runs as. */
function plant(dir: string, ...paths: readonly string[]): void {
  for (const path of paths) {
    const file = join(dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${path} of somebody else`);
    for (let at = file; at.length >= dir.length; at = dirname(at)) own(at);
  }
}

const own = (path: string): void => {
  if (osUser !== null) chownSync(path, osUser.uid, osUser.gid);
};

/** Every path below a directory, with the content of files: to compare before and after. */
function everything(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const stat = lstatSync(join(dir, name));
    found[name] = `${stat.mode} ${stat.uid} ${stat.isFile() ? readFileSync(join(dir, name), 'latin1') : ''}`;
  }
  return found;
}

const stillThere = (dir: string, paths: readonly string[]): void => {
  for (const path of paths) expect(readFileSync(join(dir, path), 'utf8')).toBe(`${path} of somebody else`);
};

async function run(...args: readonly string[]): Promise<{ code: number | NodeJS.Signals; said: string }> {
  const program = startProgram('compute-local', args, { COMPUTE_LOCAL_PG_BIN_DIR: defaultPostgres().bindir });
  try {
    const code = await program.exited();
    return { code, said: program.output() };
  } finally {
    program.kill('SIGKILL');
  }
}

/** Runs `up` with some writes, and ends it. */
async function upOnce(...statements: readonly string[]): Promise<void> {
  const { program, to } = await it.upAndReady();
  for (const statement of statements) await queryLocal(to, statement);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
}

const rails = [
  'Gemfile',
  'config/database.yml',
  'log/development.log',
  'log/storage.log',
  'run/puma.sock.txt',
  'storage/ab/cd/abcd1234',
  'storage/development.sqlite3',
  'nodes/default/settings.json',
  'pgdata/notes.txt',
];
const everyCommand = [
  ['up'],
  ['stop'],
  ['reset', '--yes'],
  ['status'],
  ['url'],
  ['promote'],
  ['up', '--replica'],
];

describe("a directory that is somebody else's", () => {
  test('of a Rails project is refused by up, and no command changes anything in it', async () => {
    plant(it.dir, ...rails);
    const before = everything(it.dir);
    for (const [command = '', ...args] of everyCommand) {
      const { code, said } = await run(command, '--dir', it.dir, ...args);
      expect(code, said).not.toBe(0);
      expect(everything(it.dir)).toEqual(before);
    }
    const { said } = await run('up', '--dir', it.dir);
    expect(said).toContain(`${it.dir} is not empty, and compute-local did not create what is in it: `);
    expect(said).toContain('choose an empty or a new directory');
  });

  test('with another local.json, a pid file and a running process in it is neither taken nor stopped', async () => {
    plant(it.dir, 'package.json');
    writeFileSync(join(it.dir, 'local.json'), '{"version":1,"name":"my app"}');
    const stat = readFileSync(`/proc/${process.pid}/stat`, 'latin1');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    for (const file of ['up.pid', 'compute_ctl.pid', 'storage.pid'])
      writeFileSync(join(it.dir, file), JSON.stringify({ pid: process.pid, started: `${started}` }));
    for (const path of readdirSync(it.dir)) own(join(it.dir, path));
    const before = everything(it.dir);
    for (const [command = '', ...args] of everyCommand)
      expect((await run(command, '--dir', it.dir, ...args)).code).not.toBe(0);
    expect(everything(it.dir)).toEqual(before);
  });

  test('with a stopped cluster, beside or in it, is refused, and the cluster starts as before', async () => {
    for (const path of ['', 'pgdata', 'data']) {
      const place = join(it.dir, 'place');
      const cluster = join(place, path);
      mkdirSync(cluster, { recursive: true });
      for (const each of [place, cluster]) own(each);
      chmodSync(cluster, 0o700);
      initdb(cluster);
      const before = everything(place);
      for (const [command = '', ...args] of everyCommand)
        expect((await run(command, '--dir', place, ...args)).code).not.toBe(0);
      expect(everything(place)).toEqual(before);
      rmSync(place, { recursive: true });
    }
  });

  test.each(['/etc', '/', '/proc', '/proc/x', '/proc/x/y', '/sys/x', '/proc/self/fd/x', '/dev/null', '/dev/null/x'])(
    '%s is refused at once, and the reason names it',
    async (dir) => {
      const { code, said } = await run('up', '--dir', dir);
      expect(code).toBe(1);
      expect(said).toMatch(/refused|cannot create|not empty|not a directory/);
      expect(said).toContain(dir);
    },
  );

  test.runIf(osUser !== null)('of the OS user itself is refused in the same places', async () => {
    for (const dir of ['/proc/x', '/sys/x', '/etc', '/etc/x', '/tmp', '/dev/null']) {
      const user = ['setpriv', `--reuid=${osUser?.uid}`, `--regid=${osUser?.gid}`, '--clear-groups'];
      const { status, stderr } = spawnAs(user, dir);
      expect(status, stderr).toBe(1);
      expect(stderr).toContain(dir);
    }
  });
});
