import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultPostgres } from '../test/support/postgres-versions.ts';
import { type LocalJson, computeOf, controlPlaneOf, lineOf, withStorage } from '../scripts/local-storage.mjs';
import { benchDir } from './bench-dir.ts';
import { type Candidate, candidates } from './candidates.ts';
import { bareRoundTrips } from './round-trips.ts';
import { floorRun } from './floor.ts';
import { type Config, type Variants, serviceVariants } from './services.ts';

/** `npm run bench:start -- --runs 30 --node /usr/bin/node`: starts against the embedded storage, of the executable and of the bundle on
 *  each Node, in turn; beside them `node -e 0` of the pinned Node, and the floor, which is `tar xzf` of the same tarball plus a bare
 *  `postgres` until ready. In memory by default: some file systems need a millisecond for each new file after many were deleted,
 *  which drowns everything else; see `--dir`. `--only file` takes those whose name begins so. `--services` takes the first of them alone, without services, with all
 *  of them in order, and with all of them broken, in turn. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '30' },
    dir: { type: 'string', default: '/dev/shm' },
    node: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: '' },
    services: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
/** Memory is looked at after so many milliseconds without work. */
const idleMs = 1500;
const { bindir } = defaultPostgres();
const dir = benchDir(values.dir);
const dist = new URL('..', import.meta.url).pathname;

interface Line {
  readonly msg: string;
  readonly time: string;
  readonly total_ms?: number;
  readonly steps?: Record<string, number>;
}

const json = (text: string): Line | null => (text.startsWith('{') ? (JSON.parse(text) as Line) : null);

type Sample = Record<string, number>;

interface Given {
  /** Where the spec is from, and more. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly postgres?: string;
}

async function computeRun(
  { command: [command, ...before] }: Candidate,
  state: LocalJson,
  { args: more, env: moreEnv = {}, postgres = join(bindir, 'postgres') }: Given,
): Promise<Sample> {
  const spawnedAt = performance.timeOrigin + performance.now();
  const compute = computeOf(state, dir, postgres);
  const args = [...before, ...more, ...compute.args, '--log-format', 'json'];
  const env = { ...compute.env, ...moreEnv };
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const pid = child.pid as number;
  let listening = 0;
  const finished = await lineOf(child.stderr, (text) => {
    const event = json(text);
    if (event?.msg.includes('HTTP server listening') === true)
      listening ||= Date.parse(event.time) - spawnedAt;
    return event?.msg === 'compute start finished';
  });
  const cpu = cpuMs(pid);
  const event = json(finished);
  const running = Date.parse(event?.time ?? '') - spawnedAt;
  const total = event?.total_ms ?? Number.NaN;
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const metrics = await (await fetch(`http://127.0.0.1:${state.ports.externalHttp}/metrics`)).text();
  const checked = /phase="sync_sk_check"} (\S+)/.exec(metrics)?.[1];
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(memory)?.[1]) / 1024;
  child.kill('SIGTERM');
  await once(child, 'exit');
  return {
    'to start_time': running - total,
    'to listening': listening,
    'to running': running,
    'CPU until running': cpu,
    total_startup_ms: total,
    ...event?.steps,
    'sync_sk_check, ms': Number(checked) * 1000,
    'resident, MB': mb('Rss'),
    'private, MB': mb('Private_Dirty'),
  };
}

/** Milliseconds on a processor, of all threads. */
const cpuMs = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, one) => sum + one / 1e6, 0);

async function nothingRun(): Promise<Sample> {
  const start = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return { 'node -e 0': performance.now() - start };
}

const at = (numbers: number[], q: number): string => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(0);
};

/** A row for each figure: its p50 and p90, or other ones. */
function report(columns: ReadonlyMap<string, Sample[]>, shown: readonly number[] = [0.5, 0.9]): void {
  const names = new Set([...columns.values()].flat().flatMap((sample) => Object.keys(sample)));
  console.log(`\n${''.padEnd(24)}${[...columns.keys()].map((name) => name.padStart(17)).join('')}`);
  for (const name of names) {
    const cells = [...columns.values()].map((samples) => {
      const numbers = samples.map((sample) => sample[name]).filter((value) => value !== undefined);
      return numbers.length === 0 ? '' : shown.map((q) => at(numbers, q)).join(', ');
    });
    console.log(`${name.padEnd(24)}${cells.map((cell) => cell.padStart(17)).join('')}`);
  }
}

async function compareCandidates(all: readonly Candidate[], state: LocalJson): Promise<void> {
  const columns = new Map<string, Sample[]>(all.map(({ name }) => [name, []]));
  const beside: Sample[] = [];
  for (let run = 0; run < runs; run++) {
    const trips = { 'bare round trips': await bareRoundTrips(state) };
    const floor: Sample = { ...(await nothingRun()), ...trips, ...(await floorRun(state, { dir, bindir })) };
    beside.push(floor);
    for (const one of all) {
      const sample = await computeRun(one, state, { args: ['-p', controlPlaneOf(state)] });
      const own = (sample['total_startup_ms'] ?? 0) - (floor['floor'] ?? 0);
      columns.get(one.name)?.push({ ...sample, 'own share': own });
    }
    process.stderr.write(`\r${run + 1}/${runs}`);
  }
  console.log(`\n${runs} starts against the embedded storage, milliseconds: p50, p90`);
  report(columns);
  report(new Map([['beside them', beside]]));
}

async function compareServices(one: Candidate, state: LocalJson): Promise<void> {
  const url = `${controlPlaneOf(state)}/compute/api/v2/computes/${state.computeId}/spec`;
  const headers = { authorization: `Bearer ${state.controlPlaneToken}` };
  const variants = await serviceVariants(dir, state.ports.postgres);
  try {
    const columns = new Map<string, Sample[]>(variants.all.map(({ name }) => [name, []]));
    const { postgres } = variants;
    // What is created in the databases stays in the storage: the first ones do not count.
    for (let run = -1; run < runs; run++) {
      for (const { name, args, env, prepare: prepareFor } of inTurn(variants, run)) {
        await prepareFor((await (await fetch(url, { headers })).json()) as Config);
        const sample = await computeRun(one, state, { args, env, postgres });
        if (run >= 0) columns.get(name)?.push(sample);
      }
      process.stderr.write(`\r${run + 1}/${runs}`);
    }
    console.log(`\n${runs} starts of ${one.name}, milliseconds: least, p50, p90`);
    report(columns, [0, 0.5, 0.9]);
    console.log(
      `load: ${loadavg()
        .map((each) => each.toFixed(1))
        .join(', ')}`,
    );
  } finally {
    await variants.stop();
  }
}

/** Each begins as often as the others: what runs after which one must not matter. */
function inTurn({ all }: Variants, run: number): Variants['all'] {
  const first = (run + all.length) % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

try {
  await withStorage([process.execPath, join(dist, 'compute-local.js')], dir, async (state) => {
    const all = (await candidates(dir, values.node)).filter(({ name }) => name.startsWith(values.only));
    if (values.services) await compareServices(all[0]!, state);
    else await compareCandidates(all, state);
  });
} finally {
  rmSync(dir, { recursive: true, force: true });
}
