import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { defaultPostgres, osUser } from '../support/postgres-versions.ts';
import { memoryDir } from '../support/scratch.ts';
import { programFile as program, startProgram } from '../support/program.ts';
import { initialised } from '../support/cluster.ts';

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

const hashOf = (file: string): string => createHash('sha1').update(readFileSync(file)).digest('hex');

/** Paths of everything below a directory; links are not followed. */
const walk = (dir: string, below = ''): string[] =>
  readdirSync(join(dir, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    return entry.isDirectory() ? [path, ...walk(dir, path)] : [path];
  });

/** Everything below a directory, with mode, owner and content: to compare before and after. */
const everything = (dir: string): Record<string, string> =>
  Object.fromEntries(
    walk(dir).map((path) => {
      const stat = lstatSync(join(dir, path));
      return [path, `${stat.mode} ${stat.uid} ${stat.isFile() ? hashOf(join(dir, path)) : ''}`];
    }),
  );

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

/** A stopped cluster that somebody else has created. */
function putCluster(path: string): void {
  execFileSync('cp', ['-a', initialised(defaultPostgres()), path]);
  chmodSync(path, 0o700);
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
      expect({ code, said }).not.toMatchObject({ code: 0 });
      expect(everything(it.dir)).toEqual(before);
    }
    const { said } = await run('up', '--dir', it.dir);
    expect(said).toContain(`${it.dir} is not empty, and compute-local did not create what is in it: `);
    expect(said).toContain('choose an empty or a new directory');
  });

  test('with another local.json, a pid file and a running process in it is neither taken nor stopped', async () => {
    const place = join(it.dir, 'place');
    plant(place, 'package.json');
    const bystander = spawn('sleep', ['600'], osUser ?? {});
    try {
      const stat = readFileSync(`/proc/${bystander.pid}/stat`, 'latin1');
      const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
      writeFileSync(join(place, 'local.json'), '{"version":1,"name":"my app"}');
      for (const file of ['up.pid', 'compute_ctl.pid', 'storage.pid'])
        writeFileSync(join(place, file), JSON.stringify({ pid: bystander.pid, started }));
      for (const path of readdirSync(place)) own(join(place, path));
      const before = everything(place);
      for (const [command = '', ...args] of everyCommand)
        expect((await run(command, '--dir', place, ...args)).code).not.toBe(0);
      expect(everything(place)).toEqual(before);
      expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    } finally {
      bystander.kill('SIGKILL');
      await once(bystander, 'exit');
    }
  });

  test('with a stopped cluster, beside or in it, is refused, and the cluster starts as before', async () => {
    for (const path of ['', 'pgdata', 'data']) {
      const place = join(it.dir, 'place');
      const cluster = join(place, path);
      mkdirSync(dirname(cluster), { recursive: true });
      putCluster(cluster);
      own(place);
      const before = everything(place);
      for (const [command = '', ...args] of everyCommand)
        expect((await run(command, '--dir', place, ...args)).code).not.toBe(0);
      expect(everything(place)).toEqual(before);
      rmSync(place, { recursive: true });
    }
  });

  test.each([
    '/etc',
    '/',
    '/proc',
    '/proc/x',
    '/proc/x/y',
    '/sys/x',
    '/proc/self/fd/x',
    '/dev/null',
    '/dev/null/x',
  ])('%s is refused at once, and the reason names it', async (dir) => {
    const { code, said } = await run('up', '--dir', dir);
    expect(code).toBe(1);
    expect(said).toMatch(/refused|cannot create|not empty|not a directory/);
    expect(said).toContain(dir);
  });

  test.runIf(osUser !== null)('of the OS user itself is refused in the same places', async () => {
    for (const dir of ['/proc/x', '/sys/x', '/etc', '/etc/x', '/tmp', '/dev/null']) {
      const user = [`--reuid=${osUser?.uid}`, `--regid=${osUser?.gid}`, '--clear-groups'];
      const command = [...user, process.execPath, program('compute-local'), 'up', '--dir', dir];
      const { status, stderr } = spawnSync('setpriv', command, {
        encoding: 'utf8',
        cwd: '/',
        timeout: 30_000,
      });
      expect({ status, stderr }).toMatchObject({ status: 1 });
      expect(stderr).toContain(dir);
    }
  });
});

// Several starts each: on a busy machine one of them took half a minute.
describe('a directory of compute-local', { timeout: 400_000 }, () => {
  const home = memoryDir();
  const made = join(home, 'made');
  let ids: { tenantId: string; timelineId: string };

  /** One that was used and stopped; the tests work on copies, which are like the folder of an earlier version: the markers
   *  of a copy do not count. */
  beforeAll(async () => {
    it = localRig();
    try {
      await upOnce('create table kept (n int)', 'insert into kept select generate_series(1, 1000)');
      const { tenantId, timelineId } = it.state() as unknown as typeof ids;
      ids = { tenantId, timelineId };
      execFileSync('cp', ['-a', it.dir, made]);
    } finally {
      await it.clean();
    }
  }, 400_000);
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  beforeEach(() => {
    rmSync(it.dir, { recursive: true });
    execFileSync('cp', ['-a', made, it.dir]);
  });

  const timeline = (): string => join(it.dir, 'storage', ids.tenantId, ids.timelineId);
  const named = (): string => `tenant ${ids.tenantId}, timeline ${ids.timelineId}`;

  async function expectAllData(): Promise<void> {
    const { program: running, to } = await it.upAndReady();
    expect(await queryLocal(to, 'select count(*)::int as n from kept')).toEqual([{ n: 1000 }]);
    running.kill('SIGTERM');
    expect(await running.exited()).toBe(0);
  }

  test('that has no marker, of an earlier version, is taken over without a question, with all its data', async () => {
    for (const file of ['compute-local.marker', 'pgdata/compute_ctl.marker']) rmSync(join(it.dir, file));
    plant(it.dir, 'notes.txt');
    await expectAllData();
    expect(existsSync(join(it.dir, 'compute-local.marker'))).toBe(true);
    stillThere(it.dir, ['notes.txt']);
  });

  test('loses nothing that somebody else put there when it is started, stopped, reset and started again', async () => {
    const wal = join('storage', ids.tenantId, ids.timelineId, 'wal');
    const bases = join(dirname(wal), 'bases');
    const foreign = [
      ...rails.filter((path) => path !== 'log/storage.log'),
      'storage.txt',
      join('storage', ids.tenantId, 'copy.tar'),
      join(dirname(wal), 'notes'),
      join(dirname(wal), 'wal-old/000000010000000000000001'),
      join(wal, 'archive.tar'),
      join(bases, 'notes.txt'),
      join(bases, '7.new/notes.txt'),
      join(bases, '1/notes.txt'),
      'nodes/replica.txt',
    ].filter((path) => !path.startsWith('pgdata/'));
    plant(it.dir, ...foreign);
    await expectAllData();
    stillThere(it.dir, foreign);
    plant(it.dir, 'pgdata/notes.txt', 'run/notes.txt');
    const { code, stdout } = await it.command('reset', '--yes');
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('Kept what compute-local did not create: ');
    const all = [...foreign, 'pgdata/notes.txt', 'run/notes.txt'];
    stillThere(it.dir, all);
    const files = walk(it.dir).filter((path) => lstatSync(join(it.dir, path)).isFile());
    expect(files.toSorted()).toEqual([...all, 'compute-local.marker'].toSorted());
    // It is still ours: the next start makes a new database, once the data directory is free.
    expect((await run('up', '--dir', it.dir)).said).toContain(`${it.pgdata} is not empty`);
    rmSync(join(it.dir, 'pgdata/notes.txt'));
    await upOnce('create table kept ()');
    stillThere(
      it.dir,
      all.filter((path) => path !== 'pgdata/notes.txt'),
    );
  });

  test('keeps what somebody else has put into its data directory, once, also when a base backup has it', async () => {
    const aside = join(it.dir, 'from-pgdata');
    plant(it.dir, 'pgdata/notes.txt', 'pgdata/folder/notes.txt');
    await expectAllData();
    plant(it.dir, 'pgdata/folder/notes.txt');
    plant(it.dir, 'pgdata/notes.txt');
    writeFileSync(join(it.pgdata, 'notes.txt'), 'newer');
    await expectAllData();
    writeFileSync(join(it.pgdata, 'notes.txt'), 'newer');
    own(join(it.pgdata, 'notes.txt'));
    await expectAllData();
    expect(walk(aside).toSorted()).toEqual(['folder', 'folder/notes.txt', 'notes.txt', 'notes.txt.1']);
    expect(readFileSync(join(aside, 'notes.txt'), 'utf8')).toBe('pgdata/notes.txt of somebody else');
    expect(readFileSync(join(aside, 'notes.txt.1'), 'utf8')).toBe('newer');
    expect((await it.command('reset', '--yes')).code).toBe(0);
    expect(readdirSync(it.dir).toSorted()).toEqual(['compute-local.marker', 'from-pgdata', 'up.lock']);
  });

  test('is empty after a reset, except for the lock', async () => {
    expect((await it.command('reset', '--yes')).code).toBe(0);
    expect(readdirSync(it.dir)).toEqual(['up.lock']);
    expect((await it.command('reset', '--yes')).stdout).toContain('There is no data');
  });

  test('without local.json gets another one for the data that its storage holds', async () => {
    rmSync(join(it.dir, 'local.json'));
    await expectAllData();
    expect(it.state()).toMatchObject(ids);
  });

  test('without local.json, and with a storage that cannot be read, is refused with tenant and timeline', async () => {
    rmSync(join(it.dir, 'local.json'));
    writeFileSync(join(timeline(), 'current/base.json'), '{');
    const before = everything(it.dir);
    const { code, said } = await run('up', '--dir', it.dir);
    expect(code).toBe(1);
    expect(said).toContain(named());
    expect(everything(it.dir)).toEqual(before);
  });

  test('with a damaged local.json is refused, and the storage stays', async () => {
    writeFileSync(join(it.dir, 'local.json'), '{"version":1}');
    const before = everything(it.dir);
    const { code, said } = await run('up', '--dir', it.dir);
    expect(code).toBe(1);
    expect(said).toMatch(/local\.json is damaged.*\nHint: .*move it away/);
    expect(everything(it.dir)).toEqual(before);
  });

  test('whose storage has gone, or is of another one, gets no new empty database in its place', async () => {
    renameSync(join(it.dir, 'storage'), join(home, 'storage'));
    const gone = await run('up', '--dir', it.dir);
    expect(gone.said).toContain(`the data is missing: ${join(it.dir, 'storage')} does not hold ${named()}`);
    expect(gone.code).toBe(1);
    const another = join(it.dir, 'storage', 'a'.repeat(32), 'b'.repeat(32));
    execFileSync('mkdir', ['-p', dirname(another)]);
    execFileSync('cp', ['-a', join(home, 'storage', ids.tenantId, ids.timelineId), another]);
    const other = await run('up', '--dir', it.dir);
    expect(other.said).toContain(`holds tenant ${'a'.repeat(32)}, timeline ${'b'.repeat(32)}`);
    expect(other.said).toContain(named());
    rmSync(join(it.dir, 'storage'), { recursive: true });
    renameSync(join(home, 'storage'), join(it.dir, 'storage'));
    await expectAllData();
  });

  test('is not shared by another one: not below it, not around it, and not through a link', async () => {
    const link = join(home, 'link');
    symlinkSync(it.dir, link);
    const before = everything(it.dir);
    for (const inside of ['new', 'nodes/replica', 'storage', 'pgdata/base/x', 'log/a/b']) {
      for (const root of [it.dir, link]) {
        const { code, said } = await run('up', '--dir', join(root, inside));
        expect({ code, said }).toMatchObject({ code: 1 });
        expect(said).toMatch(/lies in .*, which is (a directory of compute-local|the data directory)/);
      }
    }
    expect(everything(it.dir)).toEqual(before);
    execFileSync('cp', ['-a', made, join(it.dir, 'second')]);
    const around = await run('up', '--dir', it.dir);
    expect(around.said).toContain(`holds ${join(it.dir, 'second')}, which is a directory of compute-local`);
  });

  test('with the data directory of somebody else in the place of its own is refused, and a reset keeps that', async () => {
    rmSync(it.pgdata, { recursive: true });
    putCluster(it.pgdata);
    const before = everything(it.pgdata);
    expect((await run('up', '--dir', it.dir)).said).toContain(`${it.pgdata} is not empty`);
    expect((await it.command('stop')).code).toBe(0);
    expect((await it.command('reset', '--yes')).code).toBe(0);
    expect(everything(it.pgdata)).toEqual(before);
    expect(existsSync(join(it.dir, 'storage'))).toBe(false);
  });

  test('with links in the place of its directories is refused, and nothing beyond them is removed', async () => {
    const beyond = join(home, 'beyond');
    for (const name of ['storage', 'log', 'pgdata', 'run']) {
      renameSync(join(it.dir, name), beyond);
      symlinkSync(beyond, join(it.dir, name));
      const before = everything(beyond);
      for (const [command = '', ...args] of [['up'], ['reset', '--yes']])
        expect((await run(command, '--dir', it.dir, ...args)).said).toContain(
          `${name} is not a directory, or is a symbolic link`,
        );
      expect(everything(beyond)).toEqual(before);
      rmSync(join(it.dir, name));
      renameSync(beyond, join(it.dir, name));
    }
  });

  test('whose reset was killed is emptied by the next up, and begins anew', async () => {
    plant(it.dir, 'notes.txt');
    renameSync(join(it.dir, 'local.json'), join(it.dir, 'local.json.reset'));
    rmSync(join(timeline(), 'wal'), { recursive: true });
    await upOnce('create table kept ()');
    expect(it.state()['timelineId']).not.toBe(ids.timelineId);
    stillThere(it.dir, ['notes.txt']);
    expect(readdirSync(join(it.dir, 'storage'))).toEqual([it.state()['tenantId']]);
  });

  test('does not make one of a directory that its marker is copied to', async () => {
    const other = join(home, 'other');
    plant(other, ...rails);
    execFileSync('cp', ['-a', join(made, 'compute-local.marker'), other]);
    const before = everything(other);
    for (const [command = '', ...args] of [['up'], ['reset', '--yes']])
      expect((await run(command, '--dir', other, ...args)).said).toContain(
        'compute-local.marker was created for another directory',
      );
    expect(everything(other)).toEqual(before);
  });

  test('of a newer version is not called damaged, and the hint does not ask to move its file away', async () => {
    const newer = { ...(JSON.parse(readFileSync(join(it.dir, 'local.json'), 'utf8')) as object), version: 2 };
    writeFileSync(join(it.dir, 'local.json'), JSON.stringify(newer));
    const before = everything(it.dir);
    for (const command of ['up', 'url', 'status']) {
      const { code, said } = await run(command, '--dir', it.dir);
      expect([code, said]).toEqual([
        1,
        expect.stringMatching(
          /by a newer version of compute-local: it has format 2, this one knows 1\nHint: use that version/,
        ),
      ]);
    }
    expect(everything(it.dir)).toEqual(before);
    expect((await run('stop', '--dir', it.dir)).code).toBe(0);
  });

  test.runIf(osUser !== null)(
    'that a backup gave back to another user is refused with both users',
    async () => {
      execFileSync('chown', ['-R', 'nobody', it.dir]);
      chmodSync(it.dir, 0o755);
      for (const mode of ['a+rX', 'go-rwx']) {
        execFileSync('chmod', ['-R', mode, join(it.dir, 'local.json'), join(it.dir, 'storage')]);
        const before = everything(it.dir);
        // Started as root, it would become the user of the directory.
        const asUser = [`--reuid=${osUser?.uid}`, `--regid=${osUser?.gid}`, '--clear-groups'];
        const command = [...asUser, process.execPath, program('compute-local')];
        for (const words of [['up'], ['reset', '--yes'], ['stop']]) {
          const args = [...command, ...words, '--dir', it.dir];
          const { status, stderr } = spawnSync('setpriv', args, {
            encoding: 'utf8',
            timeout: 60_000,
            cwd: '/',
          });
          const wanted = new RegExp(
            `user with uid \\d+, and this one runs with uid ${osUser?.uid}\nHint: .*chown -R`,
          );
          expect([words, status, stderr]).toEqual([words, 1, expect.stringMatching(wanted)]);
        }
        expect(everything(it.dir)).toEqual(before);
      }
    },
  );

  test.runIf(osUser !== null)('in which nothing may be deleted is named by a reset', async () => {
    chmodSync(it.dir, 0o555);
    const { code, said } = await run('reset', '--yes', '--dir', it.dir);
    expect([code, said]).toEqual([
      1,
      expect.stringContaining(`cannot delete anything in ${it.dir} (EACCES)`) as string,
    ]);
    chmodSync(it.dir, 0o755);
  });

  test('is not shared through its storage alone, as where that is mounted at another place', async () => {
    const storage = join(home, 'mounted');
    execFileSync('cp', ['-a', join(it.dir, 'storage'), storage]);
    const { code, said } = await run('up', '--dir', join(storage, 'new'));
    expect([code, said]).toEqual([
      1,
      expect.stringContaining(`lies in ${storage}, which is the storage of a compute-local`) as string,
    ]);
  });
});
