import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onPath } from '../support/on-path.ts';
import { type Bom, publintSays, wrongInBom } from '../support/package-checks.ts';
import { type Program, eventually, watched } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

const root = new URL('../..', import.meta.url).pathname;

let dir: string;
let tarball: string;
let prefix: string;

/** As users have it: nothing is downloaded. */
function npm(...args: string[]): string {
  const options = ['--offline', '--no-audit', '--no-fund', '--loglevel=error', '--cache', join(dir, 'cache')];
  return execFileSync('npm', [...args, ...options], { cwd: root, encoding: 'utf8' });
}

beforeAll(() => {
  dir = scratchDir('package');
  prefix = join(dir, 'prefix');
  mkdirSync(prefix);
  // dist is there; `prepack` would build it again. In a private checkout it is a link, which a package cannot hold.
  const name = npm('pack', '--ignore-scripts', '--silent', '--pack-destination', dir).trim();
  tarball = join(dir, name);
  npm('install', '--global', '--prefix', prefix, tarball);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const installed = (): string => join(prefix, 'lib/node_modules/compute-ctl');

const start = ([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Program =>
  watched(spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }), command);

const filesBelow = (path: string, name = ''): string[] =>
  readdirSync(join(path, name), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(path, join(name, entry.name)) : [join(name, entry.name)],
  );

const arch = process.arch;
const nodes = {
  22: join(root, `test/runtimes/node_modules/node-22-${arch}/bin`),
  24: dirname(process.execPath),
  26: join(root, `test/runtimes/node_modules/node-26-${arch}/bin`),
};

const users = process.getuid?.() === 0 ? [0, 65_534] : [process.getuid?.() ?? 0];

/** Nothing of this process's environment. */
const envOf = (bin: string): NodeJS.ProcessEnv => ({
  PATH: `${bin}:${join(prefix, 'bin')}:/usr/bin:/bin`,
});

describe('the package', () => {
  test('holds the programs, the client and the pages, and neither sources nor tests nor what only developers need', () => {
    const files = filesBelow(installed());
    const wanted = [
      ...['LICENSE', 'README.md', 'dist/compute_ctl.js', 'dist/client/index.d.ts', 'docs/operating.md'],
      ...['dist/THIRD-PARTY-LICENSES.txt', 'dist/sbom.cdx.json', 'dist/man/compute_ctl.1'],
    ];
    expect(wanted.filter((file) => !files.includes(file))).toEqual([]);
    const others =
      /^(src|test|scripts|bench|build|node_modules|\.)|\.map$|(?<!\.d)\.ts$|tsconfig|lock\.json$/;
    expect(files.filter((file) => others.test(file))).toEqual([]);
    expect(statSync(tarball).size).toBeLessThan(3 * 1024 ** 2);
  });

  test('needs no other package, and runs nothing when it is installed', () => {
    const { dependencies, optionalDependencies, peerDependencies, scripts } = JSON.parse(
      readFileSync(join(installed(), 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string> | undefined>;
    expect([dependencies, optionalDependencies, peerDependencies]).toEqual([undefined, undefined, undefined]);
    const runByNpm = /^(?:pre|post)?(?:install|prepare)$|^prepublish$/;
    expect(Object.keys(scripts ?? {}).filter((name) => runByNpm.test(name))).toEqual([]);
    expect(readdirSync(join(prefix, 'lib/node_modules'))).toEqual(['compute-ctl']);
  });

  test('has compiled code that V8 takes', () => {
    for (const name of ['compute_ctl', 'compute-local', 'vm-monitor']) {
      const bundle = join(installed(), `dist/${name}.bundle.js`);
      const check = `const source = '(function (exports, require, module, __filename, __dirname) {' +
        fs.readFileSync(process.argv[1], 'latin1') + '\\n})';
        const { cachedDataRejected } = new vm.Script(source, { cachedData: fs.readFileSync(process.argv[1] + '.cache') });
        console.log(cachedDataRejected);`;
      expect([name, execFileSync(process.execPath, ['-e', check, bundle], { encoding: 'utf8' })]).toEqual([
        name,
        'false\n',
      ]);
    }
  });

  test('is as publint wants it', async () => {
    expect(await publintSays(installed())).toEqual([]);
  });

  test('has a bill of materials by the schema of CycloneDX, with exactly what is in the bundles, and a licence for each', async () => {
    const text = readFileSync(join(installed(), 'dist/sbom.cdx.json'), 'utf8');
    expect(await wrongInBom(text)).toBe(null);
    const { components, metadata, dependencies } = JSON.parse(text) as Bom;
    expect(metadata.component.name).toBe('compute-ctl');
    const names = components.map(({ name }) => name);
    // Their code can be told in the bundles; the others are what only developers need.
    for (const name of ['pg', 'undici', '@grpc/grpc-js', 'openapi-fetch']) expect(names).toContain(name);
    for (const name of ['vitest', 'esbuild', 'typescript', 'bufferutil']) expect(names).not.toContain(name);
    // Each is needed by something, or by the programs themselves.
    const needed = new Set(dependencies.flatMap(({ dependsOn = [] }) => dependsOn));
    const refs = dependencies.map(({ ref }) => ref).filter((ref) => !ref.startsWith('pkg:npm/compute-ctl@'));
    expect(refs.filter((ref) => !needed.has(ref))).toEqual([]);
    const licences = readFileSync(join(installed(), 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8').split('\n');
    const titles = components.map(
      ({ name, version, licenses }) => `${name} ${version} (${licenses[0]?.license.id})`,
    );
    expect(titles.filter((title) => !licences.includes(title))).toEqual([]);
  });

  test.skipIf(!onPath('man'))('has manual pages that man finds', () => {
    for (const name of ['compute_ctl', 'compute-local', 'vm-monitor'])
      expect(
        execFileSync('man', ['-M', join(prefix, 'share/man'), '-w', name], { encoding: 'utf8' }),
      ).toContain(`${name}.1`);
  });
});

describe.each(Object.entries(nodes))('the installed programs on Node %s', (_major, bin) => {
  test.each(users)('run from any directory, for user %i', (uid) => {
    for (const cwd of ['/', '/proc/self', dir])
      for (const [name, args, says] of [
        ['compute_ctl', ['--version'], /^compute_ctl \d/],
        ['compute-local', ['--version'], /^\d/],
        ['vm-monitor', ['--help'], /^Usage: vm-monitor /],
      ] as const)
        expect(
          spawnSync(join(prefix, 'bin', name), args, { cwd, uid, env: envOf(bin), encoding: 'utf8' }),
        ).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(says) as string });
  });
});

/** Whether it is ready; false: it has ended. */
const comesUp = (up: Program): Promise<boolean> =>
  Promise.race([
    eventually('the start', () => up.stdout().includes('"event":"ready"') || undefined, 90_000),
    up.exited(90_000).then(() => false),
  ]);

test('compute-local runs from the installed package, and writes nothing into it', async () => {
  const state = (): string[] =>
    filesBelow(prefix).map((file) => {
      const { mtimeMs, size, uid } = lstatSync(join(prefix, file));
      return `${file} ${mtimeMs} ${size} ${uid}`;
    });
  const before = state();
  const env = envOf(nodes[24]);
  const data = join(dir, 'data');
  const begin = (...more: string[]): Program =>
    start([join(prefix, 'bin/compute-local'), 'up', '--dir', data, '--json', ...more], env);
  const run = (...args: string[]) =>
    spawnSync(join(prefix, 'bin/compute-local'), args, { env, encoding: 'utf8' });
  let up = begin();
  try {
    for (let attempt = 1; !(await comesUp(up)); attempt++) {
      // Whatever else runs on this machine may take a port before the compute has it.
      if (attempt === 3 || !up.output().includes('Code: port')) throw new Error(up.output());
      up = begin('--new-ports');
    }
    expect(run('psql', '--dir', data, '--', '-Atc', 'select 1').stdout).toBe('1\n');
    expect(run('stop', '--dir', data).status).toBe(0);
    expect(await up.exited(60_000)).toBe(0);
  } finally {
    run('stop', '--dir', data);
    up.kill('SIGKILL');
  }
  expect(state()).toEqual(before);
});

test('on an older Node the programs say what they need, and nothing else', () => {
  const preload = join(dir, 'older.cjs');
  // What the launcher looks at; real ones from 10 on were tried by hand.
  writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });`,
  );
  const { engines } = JSON.parse(readFileSync(join(installed(), 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const needed = engines.node.replace(/^>=/, '');
  for (const name of ['compute_ctl', 'compute-local', 'vm-monitor'])
    expect(
      spawnSync(process.execPath, ['-r', preload, join(prefix, 'bin', name), '--version'], {
        env: {},
        encoding: 'utf8',
      }),
    ).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^${name} needs Node ${needed} or newer\\. This is Node 20\\.20\\.2, .*\\n.*docs/installing\\.md\\.\\n$`,
        ),
      ) as string,
    });
});

test.runIf(process.getuid?.() === 0)(
  'a package that the OS user cannot read is named as the reason',
  async () => {
    const hidden = join(dir, 'hidden');
    mkdirSync(hidden, { mode: 0o700 });
    cpSync(join(installed(), 'dist'), join(hidden, 'dist'), { recursive: true });
    const local = start(
      [process.execPath, join(hidden, 'dist/compute-local.js'), 'up', '--dir', join(dir, 'none')],
      envOf(nodes[24]),
    );
    expect(await local.exited(60_000)).toBe(1);
    expect(local.stderr()).toMatch(/cannot read the programs in .*hidden\/dist\nHint: .*\nCode: os_user\n/);
  },
);

const consumer = `
import { ComputeClient, type ComputeStatus, mintToken } from 'compute-ctl/client';
export const status = async (url: string): Promise<ComputeStatus['status']> => {
  const token = (): string => mintToken({ key: 'PEM', for: 'admin' });
  return (await new ComputeClient({ url, token }).status()).status;
};
// @ts-expect-error a mode that does not exist
export const wrong = (client: ComputeClient) => client.terminate('slow');
`;

test('the client of the installed package is found by TypeScript and by Node', () => {
  const own = join(dir, 'consumer');
  mkdirSync(own);
  writeFileSync(join(own, 'package.json'), '{ "type": "module" }');
  npm('install', '--prefix', own, tarball);
  writeFileSync(join(own, 'consumer.ts'), consumer);
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = { strict: true, noEmit: true, target: 'es2023', module, moduleResolution };
    writeFileSync(
      join(own, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...compilerOptions, types: [], lib: ['es2023', 'dom'] },
        files: ['consumer.ts'],
      }),
    );
    const { stdout, status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', own], {
      encoding: 'utf8',
    });
    expect([moduleResolution, status, stdout]).toEqual([moduleResolution, 0, '']);
  }
  for (const [bin, how] of [
    [
      nodes[22],
      [
        '--input-type=module',
        '-e',
        "import { ComputeClient } from 'compute-ctl/client'; new ComputeClient({ url: 'http://x', token: '' })",
      ],
    ],
    [
      nodes[22],
      [
        '--input-type=commonjs',
        '-e',
        "new (require('compute-ctl/client').ComputeClient)({ url: 'http://x', token: '' })",
      ],
    ],
  ] as const)
    expect(spawnSync(realpathSync(join(bin, 'node')), how, { cwd: own, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
});
