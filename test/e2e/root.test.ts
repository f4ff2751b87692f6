import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { markerFile } from '../../src/postgres/marker.ts';
import { preparePgdata } from '../../src/postgres/prepare.ts';
import { handOver } from '../../src/process/hand-over.ts';
import { findOsUser } from '../../src/process/os-user.ts';
import { uidOf } from '../../src/process/proc.ts';
import { removeTree } from '../../src/process/remove-tree.ts';
import { HostileArchive } from '../../src/tar/extract.ts';
import { unpack } from '../../src/tar/unpack.ts';
import { freePort, startCluster } from '../support/cluster.ts';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { makeTarball } from '../support/fake-storage.ts';
import { localRig } from '../support/local.ts';
import { osUser } from '../support/postgres-versions.ts';
import { eventually, startProgram } from '../support/program.ts';

const never = new AbortController().signal;
const tries = 1000;
/** Another user than root and that of Postgres. */
const stranger = { uid: 65_534, gid: 65_534 };

// Root's own business: without root there is nothing to give up.
describe.runIf(osUser !== null)('started as root', () => {
  const user = osUser ?? { uid: 0, gid: 0 };
  let it: Rig;
  beforeEach(async () => {
    it = await rig();
  });
  afterEach(() => it.stop());

  /** The start is refused at once, and nothing of the compute is left. */
  async function refused(reason: RegExp): Promise<void> {
    const program = it.start();
    expect(await program.exited(10_000)).not.toBe(0);
    expect(program.stderr()).toMatch(reason);
  }

  /** Of each thread of a process; Node has some that end after the start. */
  const statusOfThreads = (pid: number): string[] =>
    readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      try {
        return [readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')];
      } catch {
        return [];
      }
    });

  const statusOf = (pid: number, field: string): string =>
    new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  const asOsUser = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { ...user, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

  test('compute_ctl is the OS user for good, with all its threads, before it has read its spec', async () => {
    // A config that never arrives: nothing of it has been read when root is given up.
    const fifo = join(it.home, 'config.fifo');
    execFileSync('mkfifo', ['-m', '666', fifo]);
    // Started with groups of root, such as that of a shell, which it must not keep.
    const before = 'exec setpriv --groups 0,4,6 "$@"';
    const program = it.run(['-c', fifo, '-i', 'compute-1'], {}, undefined, undefined, before);
    await eventually('its user', () => statusOf(program.pid, 'Uid').startsWith(`${user.uid}\t`) || undefined);
    for (const status of statusOfThreads(program.pid)) {
      expect(status).toMatch(new RegExp(`^Uid:(\\s+${user.uid}){4}$`, 'm'));
      expect(status).toMatch(new RegExp(`^Gid:(\\s+${user.gid}){4}$`, 'm'));
      expect(status).toMatch(/^CapEff:\s+0+$/m);
      expect(status).toMatch(/^CapPrm:\s+0+$/m);
    }
    const groups = execFileSync('id', ['-G', 'postgres'], { encoding: 'utf8' }).trim().split(' ');
    expect(statusOf(program.pid, 'Groups').trim().split(' ').sort()).toEqual(groups.sort());
  });

  test('code that runs as the OS user cannot read the environment and the memory of compute_ctl', async () => {
    const program = it.start({ env: { NEON_CONTROL_PLANE_TOKEN: 'very-secret' } });
    await it.until('running');
    for (const name of ['environ', 'mem', 'maps'])
      expect(() => asOsUser('cat', `/proc/${program.pid}/${name}`)).toThrow();
  });

  test('no process of a running compute is root', async () => {
    const program = it.start();
    await it.until('running');
    // Some of them end meanwhile, such as the connection of a probe.
    const uids = [program.pid, ...processesIn(it.pgdata)].map(uidOf);
    expect(new Set(uids.filter((uid) => uid !== null))).toEqual(new Set([user.uid]));
    expect(uids.length).toBeGreaterThan(3);
  });

  test('a link planted in place of the data directory is refused, and its target stays', async () => {
    const target = join(it.home, 'target');
    mkdirSync(target);
    symlinkSync(target, it.pgdata);
    await refused(/is a symbolic link/);
    expect(statSync(target).uid).toBe(0);
    expect(readdirSync(target)).toEqual([]);
  });

  test('a link above the data directory that another user could have made is refused', async () => {
    mkdirSync(join(it.home, 'target'));
    symlinkSync(join(it.home, 'target'), join(it.home, 'above'));
    const program = it.start({ args: ['-D', join(it.home, 'above', 'pgdata')] });
    expect(await program.exited(10_000)).not.toBe(0);
    expect(program.stderr()).toMatch(/symbolic link in a directory that other users can write/);
  });

  test('a data directory of another user is refused and keeps its owner', async () => {
    mkdirSync(it.pgdata);
    chownSync(it.pgdata, stranger.uid, stranger.gid);
    await refused(/belongs to uid 65534/);
    expect(statSync(it.pgdata).uid).toBe(stranger.uid);
  });

  test('a directory of root with something in it is not handed over', async () => {
    mkdirSync(it.pgdata);
    writeFileSync(join(it.pgdata, 'shadow'), 'secret', { mode: 0o600 });
    await refused(/belongs to root and is not empty \(shadow\)/);
    expect(statSync(join(it.pgdata, 'shadow')).uid).toBe(0);
  });

  test('a marker that another user put into a directory of root hands nothing over', async () => {
    mkdirSync(it.pgdata);
    writeFileSync(join(it.pgdata, 'shadow'), 'secret', { mode: 0o600 });
    chmodSync(it.pgdata, 0o1777);
    execFileSync('touch', [join(it.pgdata, markerFile)], stranger);
    await refused(/belongs to root and other users can write it/);
    chmodSync(it.pgdata, 0o755);
    await refused(/belongs to root and is not empty/);
    for (const path of [it.pgdata, join(it.pgdata, 'shadow')]) expect(statSync(path).uid).toBe(0);
  });

  test('a copy of a data directory is not ours, although the marker was copied with it', async () => {
    const first = it.start();
    await it.until('running');
    first.kill('SIGTERM');
    await first.exited();
    const copy = join(it.home, 'copy');
    execFileSync('cp', ['-a', it.pgdata, copy]);
    const program = it.start({ args: ['-D', copy] });
    await it.until('failed', 10_000);
    expect(program.stderr()).toContain('was not created by compute_ctl');
    expect(readdirSync(copy)).toContain('PG_VERSION');
    await program.exited();
    // The original still is.
    it.start();
    await it.until('running');
  });

  test('a cluster that runs and that compute_ctl did not start is neither stopped nor wiped', async () => {
    const cluster = await startCluster();
    try {
      const program = it.start({ args: ['-D', cluster.dataDir] });
      await it.until('failed');
      expect(program.stderr()).toContain('was not created by compute_ctl');
      expect(cluster.postmaster.exitCode).toBeNull();
      expect(readdirSync(cluster.dataDir)).toContain('PG_VERSION');
    } finally {
      await cluster.stop();
    }
  });

  test.each(['fifo', 'link', 'directory'])(
    'a %s in place of postmaster.pid is refused, not waited for',
    async (kind) => {
      const first = it.start();
      await it.until('running');
      first.kill('SIGTERM');
      await first.exited();
      const path = join(it.pgdata, 'postmaster.pid');
      if (kind === 'fifo') execFileSync('mkfifo', [path]);
      else if (kind === 'link') symlinkSync('/proc/kmsg', path);
      else mkdirSync(path);
      const program = it.start();
      const { error } = await it.until('failed', 10_000);
      expect(error).toMatch(/postmaster\.pid (is not a file|is a symbolic link)/);
      await program.exited();
    },
  );

  test('another OS user cannot take the lock', async () => {
    const lock = `${it.pgdata}.lock`;
    mkdirSync(lock, { mode: 0o777 });
    chownSync(lock, stranger.uid, stranger.gid);
    const program = it.start();
    const { error } = await it.until('failed', 10_000);
    expect(error).toMatch(/pgdata\.lock belongs to another user \(uid 65534\)/);
    await program.exited();
    rmSync(lock, { recursive: true });
    it.start();
    await it.until('running');
  });

  test('a private directory of root on the way is named', async () => {
    const closed = join(it.home, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    chownSync(closed, 0, 0);
    const program = it.start({ args: ['-D', join(closed, 'pgdata')] });
    const { error } = await it.until('failed', 10_000).catch(() => ({ error: program.stderr() }));
    expect(error).toContain(`cannot enter ${closed}`);
  });

  test('the vm-monitor is the OS user for good before it listens, and says so when there is no such user', async () => {
    const port = await freePort();
    const program = startProgram('vm-monitor', ['--addr', `127.0.0.1:${port}`]);
    try {
      await eventually(
        'the monitor',
        async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 404 || undefined,
      );
      for (const status of statusOfThreads(program.pid)) {
        expect(status).toMatch(new RegExp(`^Uid:(\\s+${user.uid}){4}$`, 'm'));
        expect(status).toMatch(/^CapPrm:\s+0+$/m);
      }
    } finally {
      program.kill('SIGKILL');
    }
    const nobody = startProgram('vm-monitor', ['--addr', `127.0.0.1:${port}`, '--os-user', 'no-such-user']);
    expect(await nobody.exited()).not.toBe(0);
    expect(nobody.stderr()).toContain('the operating system user "no-such-user" does not exist');
  });

  describe('compute-local', () => {
    test('and everything that it starts is the OS user, and its folder is handed over', async () => {
      const local = localRig();
      try {
        const { program } = await local.upAndReady();
        const kept = [program.pid, local.pidOf('compute_ctl') ?? 0, local.pidOf('storage') ?? 0];
        expect(kept.map(uidOf)).toEqual(kept.map(() => user.uid));
        // Some of these end by themselves.
        const others = processesIn(local.dir).map(uidOf);
        expect(new Set(others.filter((uid) => uid !== null))).toEqual(new Set([user.uid]));
        expect(statSync(local.dir)).toMatchObject({ uid: user.uid });
        // A later command of root is that user, too.
        expect((await local.command('status')).code).toBe(0);
      } finally {
        await local.clean();
      }
    });

    test('takes over what an earlier version has left to root, and only that', async () => {
      const local = localRig();
      try {
        const { program } = await local.upAndReady();
        program.kill('SIGTERM');
        await program.exited();
        const state = join(local.dir, 'local.json');
        const foreign = join(local.dir, 'log', 'shadow');
        writeFileSync(precious(), 'all of it', { mode: 0o600 });
        linkSync(precious(), foreign); // a second name of a file of root
        for (const path of [local.dir, state, join(local.dir, 'log')]) chownSync(path, 0, 0);
        await local.upAndReady();
        expect(statSync(state).uid).toBe(user.uid);
        expect(statSync(precious()).uid).toBe(0);
      } finally {
        await local.clean();
        rmSync(precious(), { force: true });
      }
    });

    /** On the file system of the rig's folder, so that it can have a second name there. */
    const precious = (): string => '/dev/shm/compute-ctl-test-precious';

    test("refuses a folder of root with another program's local.json, or with something else beside its own", async () => {
      const local = localRig();
      try {
        const { program } = await local.upAndReady();
        program.kill('SIGTERM');
        await program.exited();
        for (const path of [local.dir, join(local.dir, 'local.json')]) chownSync(path, 0, 0);
        writeFileSync(join(local.dir, 'thesis.odt'), 'years of work');
        const beside = local.up();
        expect(await beside.exited()).not.toBe(0);
        expect(beside.stderr()).toContain('belongs to root and is not empty (thesis.odt)');
        rmSync(join(local.dir, 'thesis.odt'));
        writeFileSync(join(local.dir, 'local.json'), '{"version":1,"name":"an app"}');
        const another = local.up();
        expect(await another.exited()).not.toBe(0);
        expect(another.stderr()).toContain('belongs to root and is not empty');
        for (const path of [local.dir, join(local.dir, 'local.json')]) expect(statSync(path).uid).toBe(0);
      } finally {
        await local.clean();
      }
    });

    test('refuses a folder of root that holds something else', async () => {
      const local = localRig();
      try {
        writeFileSync(join(local.dir, 'thesis.odt'), 'years of work');
        const program = local.up();
        expect(await program.exited()).not.toBe(0);
        expect(program.stderr()).toContain('belongs to root and is not empty (thesis.odt)');
        expect(readdirSync(local.dir)).toEqual(['thesis.odt']);
      } finally {
        await local.clean();
      }
    });
  });

  describe('with an attacker who swaps the path in a loop', () => {
    let attacker: ChildProcess;
    let victim: string;
    let prey: string;

    /** @param path is swapped for a link to `victim` */
    async function attack(path: string): Promise<void> {
      prey = path;
      const outfile = join(it.home, 'attack.mjs');
      const entryPoints = [fileURLToPath(new URL('swap-attack.ts', import.meta.url))];
      await build({
        entryPoints,
        outfile,
        bundle: true,
        platform: 'node',
        format: 'esm',
        logLevel: 'silent',
      });
      attacker = spawn(process.execPath, [outfile, prey, victim], {
        ...user,
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: '/',
      });
      await once(attacker.stdout as NodeJS.ReadableStream, 'data');
    }

    beforeEach(() => {
      victim = join(it.home, 'victim');
      mkdirSync(join(victim, 'sub'), { recursive: true });
      chmodSync(victim, 0o777); // what is written through the link would succeed
      writeFileSync(join(victim, 'precious'), 'all of it', { mode: 0o600 });
    });
    afterEach(async () => {
      attacker.kill('SIGKILL');
      await once(attacker, 'exit');
    });

    /** Nothing was given away, written or removed there. */
    function expectUntouched(): void {
      expect(statSync(victim).uid).toBe(0);
      expect(readdirSync(victim).sort()).toEqual(['precious', 'sub']);
      expect(statSync(join(victim, 'precious'))).toMatchObject({ uid: 0, size: 9 });
      expect(statSync(join(victim, 'sub')).uid).toBe(0);
    }

    test(`the hand-over of the data directory is not won in ${tries} tries`, async () => {
      await attack(join(it.home, 'prey'));
      const to = await findOsUser('postgres');
      let refusals = 0;
      for (let each = 0; each < tries; each++) {
        try {
          handOver(join(it.home, 'prey'), to, { what: 'the data directory' });
        } catch {
          refusals++;
        }
        expectUntouched();
      }
      expect(refusals).toBeLessThan(tries);
    });

    test(`a directory swapped during the unpack is not won in ${tries} tries`, async () => {
      const dir = join(it.home, 'unpacked');
      mkdirSync(join(dir, 'base', '5'), { recursive: true });
      for (const each of [dir, join(dir, 'base'), join(dir, 'base', '5')]) chmodSync(each, 0o777);
      await attack(join(dir, 'base', '5'));
      const files = Array.from({ length: 8 }, (_, at) => ({ name: `base/5/${1000 + at}`, body: 'x' }));
      const tarball = await makeTarball(files);
      async function* source(): AsyncGenerator<Buffer> {
        yield tarball;
      }
      const failures: unknown[] = [];
      for (let each = 0; each < tries; each++) {
        await unpack(source(), { dir, gzip: true }, never).catch((error: unknown) => failures.push(error));
        expectUntouched();
      }
      // It fails by the swap: the way leads through a link, or the directory has just gone.
      expect(failures.every((one) => one instanceof HostileArchive || one instanceof Error)).toBe(true);
      expect(failures.length).toBeLessThan(tries);
    }, 240_000);

    test(`a directory above the data directory, swapped while that is wiped, is not won in ${tries} tries`, async () => {
      // Somebody else's cluster, which compute_ctl did not create, beyond the link.
      const foreign = join(victim, 'sub', 'pgdata');
      mkdirSync(join(foreign, 'base'), { recursive: true });
      writeFileSync(join(foreign, 'PG_VERSION'), '17');
      victim = join(victim, 'sub');
      const above = join(it.home, 'above');
      await attack(above);
      let wiped = 0;
      for (let each = 0; each < tries; each++) {
        await preparePgdata(join(above, 'pgdata'), never).then(
          () => wiped++,
          () => {},
        );
        expect(readdirSync(victim)).toEqual(['pgdata']);
        expect(readdirSync(foreign).sort()).toEqual(['PG_VERSION', 'base']);
      }
      expect(wiped).toBeGreaterThan(0);
    }, 240_000);

    test(`a directory swapped while it is removed is not won in ${tries} tries`, async () => {
      const dir = join(it.home, 'old');
      mkdirSync(dir);
      chmodSync(dir, 0o777);
      await attack(join(dir, 'base'));
      for (let each = 0; each < tries; each++) {
        await removeTree(join(dir, 'base'), never).catch(() => {});
        expectUntouched();
      }
      expect(existsSync(victim)).toBe(true);
    });
  });
});
