import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { recordAll } from '../scripts/record-all.mjs';
import { defaultPostgres } from '../test/support/postgres-versions.ts';

/** `npm run bench:runtimes -- --runs 15 --node /usr/bin/node`: the bundle on the pinned Node, on those of the tests and on the given
 *  ones, each with code that it has compiled itself, and the executable, if it was built; in turn. An empty compute, from the spawn
 *  until both HTTP servers listen, and its memory 1.5 s later. Medians. */
const { values } = parseArgs({
  options: { runs: { type: 'string', default: '15' }, node: { type: 'string', multiple: true, default: [] } },
});
const idleMs = 1500;
const root = new URL('../..', import.meta.url).pathname;
const dir = mkdtempSync('/var/tmp/compute-ctl-bench-');
chmodSync(dir, 0o755);

type Command = readonly [string, ...string[]];
type Sample = Record<'wall_ms' | 'cpu_ms' | 'resident_mb' | 'private_mb', number>;

function nodes(): string[] {
  const others = join(root, 'test/runtimes/node_modules');
  const found = existsSync(others) ? readdirSync(others).map((name) => join(others, name, 'bin/node')) : [];
  return [...values.node, ...found, process.execPath].filter((path) => existsSync(path));
}

/** The bundle with code that this Node has compiled. */
async function bundleFor(node: string): Promise<Command> {
  const into = mkdtempSync(join(dir, 'dist-'));
  chmodSync(into, 0o755);
  for (const name of ['compute_ctl.js', 'compute_ctl.bundle.js', 'package.json'])
    copyFileSync(join(root, 'dist', name), join(into, name));
  await recordAll({
    node: [node],
    recorder: join(root, 'scripts/record.cjs'),
    programs: ['compute_ctl'],
    bundle: (program) => join(into, `${program}.bundle.js`),
    cache: (program) => join(into, `${program}.bundle.js.cache`),
  });
  return [node, join(into, 'compute_ctl.js')];
}

async function candidates(): Promise<{ name: string; command: Command; samples: Sample[] }[]> {
  const found: { name: string; command: Command; samples: Sample[] }[] = [];
  for (const node of nodes()) {
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
    found.push({ name: `bundle on ${version}`, command: await bundleFor(node), samples: [] });
  }
  const executable = join(root, `build/linux-${process.arch}/compute_ctl`);
  if (existsSync(executable)) {
    const size = (statSync(executable).size / 2 ** 20).toFixed(1);
    found.push({ name: `executable, ${size} MiB`, command: [executable], samples: [] });
  }
  return found;
}

/** Milliseconds on a processor, of all threads. */
const cpuMs = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, one) => sum + one / 1e6, 0);

async function computeRun([command, ...before]: Command): Promise<Sample> {
  const started = performance.now();
  const args = [
    ...[
      '-D',
      join(dir, 'pgdata'),
      '-C',
      'postgresql://cloud_admin@127.0.0.1:1/postgres',
      '--os-user',
      'nobody',
    ],
    ...[
      '-b',
      join(defaultPostgres().bindir, 'postgres'),
      '--external-http-port',
      '0',
      '--internal-http-port',
      '0',
    ],
  ];
  const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: {} });
  const pid = child.pid as number;
  const lines = createInterface({ input: child.stderr });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (text) => text.includes('internal HTTP server listening') && resolve());
    lines.once('close', () => reject(new Error(`${command} ended`)));
  });
  const [wall_ms, cpu_ms] = [performance.now() - started, cpuMs(pid)];
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(memory)?.[1]) / 1024;
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { wall_ms, cpu_ms, resident_mb: mb('Rss'), private_mb: mb('Private_Dirty') };
}

const median = (numbers: number[]): string =>
  (numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0).toFixed(1);

try {
  const all = await candidates();
  for (let run = 0; run < Number(values.runs); run++) {
    for (const { command, samples } of all) samples.push(await computeRun(command));
    process.stderr.write(`\r${run + 1}/${values.runs}`);
  }
  const columns = ['wall_ms', 'cpu_ms', 'resident_mb', 'private_mb'] as const;
  console.log(`\n${''.padEnd(28)}${columns.map((column) => column.padStart(13)).join('')}`);
  for (const { name, samples } of all) {
    const figures = columns.map((column) => median(samples.map((sample) => sample[column])));
    console.log(`${name.padEnd(28)}${figures.map((figure) => figure.padStart(13)).join('')}`);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
