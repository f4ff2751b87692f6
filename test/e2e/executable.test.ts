import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  machineOf,
  machines,
  newestRequired,
  requiredLibraries,
  sectionNames,
} from '../../scripts/executable/elf.mjs';
import { rig } from '../support/compute.ts';
import { localRig, queryLocal } from '../support/local.ts';
import { type Bom, wrongInBom } from '../support/package-checks.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually, executableVariable, startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';
import { freePort } from '../support/cluster.ts';

const root = new URL('../..', import.meta.url).pathname;
const arch = process.arch as 'x64' | 'arm64';
const other = arch === 'x64' ? 'arm64' : 'x64';
const fileFor = (name: string): string => join(root, `build/linux-${name}/compute_ctl`);

const mib = 1024 ** 2;

/** Where it is run: nothing else of ours is there. */
let dir: string;
let file: string;
/** Bytes, compressed beside the other tests: it takes long. */
let compressed: Promise<number>;

const build = (...args: string[]): void =>
  void execFileSync(process.execPath, ['scripts/build-executable.mjs', ...args], { cwd: root });

beforeAll(() => {
  build(arch);
  // Its code is compiled in an emulator, which says nothing of the file.
  build(other, '--without-code');
  dir = scratchDir('executable');
  file = join(dir, 'compute_ctl');
  copyFileSync(fileFor(arch), file);
  compressed = sizeCompressed(file);
  process.env[executableVariable] = file;
}, 300_000);

afterAll(() => {
  delete process.env[executableVariable];
  rmSync(dir, { recursive: true, force: true });
});

/** By gzip itself: zlib's own is not the same everywhere. */
async function sizeCompressed(path: string): Promise<number> {
  const child = spawn('gzip', ['-9', '-c', path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let size = 0;
  for await (const chunk of child.stdout) size += (chunk as Buffer).length;
  return size;
}

/** With nothing in its environment, in the root directory. */
const run = (path: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(path, args, { cwd: '/', env, encoding: 'utf8' });

const filesOf = (pid: number): string[] => [
  ...readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  }),
  ...new Set(
    readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/)[5] ?? ''),
  ),
];

/** What a process has open or mapped of a Node or of this checkout. */
const notItsOwn = (pid: number): string[] =>
  filesOf(pid).filter(
    (path) => path.includes('node_modules') || path.startsWith(root) || path.endsWith('/node'),
  );

/** The signals that a process blocks, one bit each. @see proc_pid_status(5) */
const blocked = (pid: number): bigint =>
  BigInt(`0x${/^SigBlk:\s+(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]}`);

describe.each(['x64', 'arm64'] as const)('the executable for linux-%s', (name) => {
  const content = (): Buffer => readFileSync(fileFor(name));

  test('runs on the C library of Debian 10 and requires none but the usual libraries', () => {
    expect(machineOf(content())).toBe(machines[name]);
    const [major = 0, minor = 0] = newestRequired(content(), 'GLIBC') ?? [];
    expect([major, minor <= 28]).toEqual([2, true]);
    const usual = /^(lib(dl|stdc\+\+|m|gcc_s|pthread|c)\.so\.\d|ld-linux-.*)$/;
    expect(requiredLibraries(content()).filter((library) => !usual.test(library))).toEqual([]);
  });

  test('has no symbols, no data of other languages than English, and at most 90 MiB', () => {
    expect(sectionNames(content())).not.toContain('.symtab');
    // What only native addons ask for.
    expect(content().includes('_ZN2v87Isolate')).toBe(false);
    expect(content().length).toBeLessThanOrEqual(90 * mib);
  });
});

test('the executable is each program by the name of a link and by its first argument, with an empty environment', () => {
  const programs = { compute_ctl: /^compute_ctl \d/, 'compute-local': /^\d/, 'vm-monitor': /^\d/ };
  for (const [name, version] of Object.entries(programs)) {
    const link = join(dir, 'bin', name);
    mkdirSync(join(dir, 'bin'), { recursive: true });
    symlinkSync(file, link);
    for (const [path, ...before] of [[link], [file, name]] as [string, ...string[]][]) {
      expect(run(path, [...before, '--version'])).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(version) as string,
        stderr: '',
      });
      const help = run(path, [...before, '--help']);
      expect([name, help.status, help.stdout.split('\n')[0]]).toEqual([
        name,
        0,
        expect.stringContaining(`Usage: ${name} `),
      ]);
    }
    const wrong = run(link, ['--nonsense']);
    expect([name, wrong.status]).toEqual([name, 2]);
    expect(wrong.stderr).toContain("unknown option '--nonsense'");
  }
  const renamed = join(dir, 'compute_ctl-0.1.0');
  symlinkSync(file, renamed);
  expect(run(renamed, ['--version']).stdout).toMatch(programs.compute_ctl);
});

test('the executable prints its manual pages and completions, as dist has them', () => {
  const built = (name: string): string => readFileSync(join(root, 'dist', name), 'utf8');
  expect(run(file, ['man']).stdout).toBe(built('man/compute_ctl.1'));
  expect(run(file, ['compute-local', 'man']).stdout).toBe(built('man/compute-local.1'));
  expect(run(file, ['completion', 'zsh']).stdout).toBe(built('completions/_compute_ctl'));
});

test('a second build without compiled code gives the same file, which does not name the place where it was built', () => {
  const first = readFileSync(fileFor(other));
  build(other, '--without-code');
  expect(readFileSync(fileFor(other)).equals(first)).toBe(true);
  expect(first.includes(root)).toBe(false);
});

test('a bill of materials and all licences are beside the executable, those of its Node, too', async () => {
  const beside = (name: string): string => readFileSync(join(dirname(fileFor(arch)), name), 'utf8');
  const text = beside('sbom.cdx.json');
  expect(await wrongInBom(text)).toBe(null);
  const { components } = JSON.parse(text) as Bom;
  const node = components.find(({ name }) => name === 'node');
  const openssl = node?.components?.find(({ name }) => name === 'openssl');
  expect([node?.version, openssl?.version]).toEqual([process.versions.node, process.versions.openssl]);
  expect(components.map(({ name }) => name)).toContain('pg');
  for (const said of [`Node.js ${process.versions.node}`, 'OpenSSL', 'pg-protocol', 'Apache License'])
    expect(beside('THIRD-PARTY-LICENSES.txt')).toContain(said);
});

test.each(['de_DE.UTF-8', 'ja_JP.eucJP', 'ar_EG', 'th_TH.TIS-620', 'zh_TW.Big5'])(
  'the executable has no words in the language of %s, and says the same as elsewhere',
  (locale) => {
    const env = { LC_ALL: locale, LANG: locale, TZ: 'Asia/Tokyo' };
    for (const args of [['--help'], ['compute-local', 'status', '--dir', join(dir, 'none')]])
      expect(run(file, args, env)).toMatchObject({ ...run(file, args), pid: expect.any(Number) as number });
  },
);

test('the executable takes no notice of what the environment wants of Node', () => {
  for (const options of ['--nonsense', '--inspect=127.0.0.1:0', '--require /nowhere.js'])
    expect(run(file, ['--version'], { NODE_OPTIONS: options })).toMatchObject({ status: 0, stderr: '' });
});

test('the executable alone starts a compute, with an empty environment', async () => {
  const it = await rig();
  try {
    // The shell's way to clear the environment, as `env -i` does, and to keep the name.
    const program = it.start({
      args: ['-b', join(defaultPostgres().bindir, 'postgres')],
      before: 'exec -c -a "$0" "$@"',
    });
    await it.until('running');
    const { pid } = program;
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('PATH=');
    expect(readlinkSync(`/proc/${pid}/exe`)).toBe(file);
    expect(notItsOwn(pid)).toEqual([]);
    expect((await it.http('GET', '/metrics')).status).toBe(200);
    // Blocked, so that it cannot open Node's debugger; not so for Postgres, which lives by it.
    const sigusr1 = 1n << 9n;
    program.kill('SIGUSR1');
    expect((await it.http('GET', '/status')).status).toBe(200);
    const postmaster = Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);
    expect([blocked(pid) & sigusr1, blocked(postmaster) & sigusr1]).toEqual([sigusr1, 0n]);
    expect(program.output()).not.toContain('Debugger');
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
  } finally {
    await it.stop();
  }
});

test('compute-local starts its daemons from the executable, and finds and stops them', async () => {
  const local = localRig();
  try {
    const { program, to } = await local.upAndReady();
    expect(await queryLocal(to, 'select 1 as one')).toEqual([{ one: 1 }]);
    const daemons = ['compute_ctl', 'storage'] as const;
    for (const name of daemons) {
      const pid = local.pidOf(name) as number;
      expect(readlinkSync(`/proc/${pid}/exe`)).toBe(file);
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]).toBe(
        name === 'storage' ? 'compute-local' : name,
      );
      expect(notItsOwn(pid)).toEqual([]);
    }
    expect(await local.command('status')).toMatchObject({ code: 0 });
    expect(await local.command('stop')).toMatchObject({ code: 0 });
    expect(await program.exited(60_000)).toBe(0);
    expect(daemons.map((name) => local.pidOf(name))).toEqual([undefined, undefined]);
  } finally {
    await local.clean();
  }
});

test('the executable is the vm-monitor by its name', async () => {
  const port = await freePort();
  const monitor = startProgram('vm-monitor', ['--addr', `127.0.0.1:${port}`]);
  try {
    const asked = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/monitor`)).status;
    await eventually('the monitor', async () => (await asked()) === 426 || undefined);
    expect(notItsOwn(monitor.pid)).toEqual([]);
    monitor.kill('SIGTERM');
    expect(await monitor.exited()).toBe(0);
  } finally {
    monitor.kill('SIGKILL');
  }
});

test('the executable has at most 32 MiB when it is compressed', async () => {
  expect(await compressed).toBeLessThanOrEqual(32 * mib);
});
