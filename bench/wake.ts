import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import pg from 'pg';
import type { LocalJson } from '../scripts/local-storage.mjs';
import { defaultPostgres } from '../test/support/postgres-versions.ts';
import { benchDir } from './bench-dir.ts';
import { floorRun } from './floor.ts';

/** `npm run bench:wake -- --runs 50 --mb 25`: from the first byte of a client to its first row, of a database that sleeps; beside it in
 *  the same run: the floor of `bench:start`, which is what every start needs (untar, a bare Postgres), and the same query when it is awake. In memory by default: see `--dir`.
 *  `--prepare wait`: each wake has its data directory prepared; `no`: none has; `both`: first the one, then, for `--full` wakes of the same
 *  database, the other. `--floor no` leaves that out, which takes long for a large database. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    dir: { type: 'string', default: '/dev/shm' },
    mb: { type: 'string', default: '0' },
    prepare: { type: 'string', default: 'wait' },
    full: { type: 'string', default: '3' },
    floor: { type: 'string', default: 'yes' },
  },
});
const limitMs = 1_800_000;
const dir = benchDir(values.dir);
const program = join(new URL('..', import.meta.url).pathname, 'compute-local.js');

/** The events of `up`, as they come. */
class Up {
  readonly child: ChildProcess;
  readonly #events: Record<string, unknown>[] = [];
  #wake: () => void = () => {};

  constructor(isPrepared: boolean) {
    const args = [program, 'up', '--dir', dir, '--json', '--suspend-after', '500ms', '--new-ports'];
    if (!isPrepared) args.push('--prepare-at-most', '0');
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      // What has no place in a run.
      if (/"event":"(compute|storage|trouble|failed)/.test(line)) console.error(`\n${line}`);
      this.#events.push(JSON.parse(line) as Record<string, unknown>);
      this.#wake();
    });
  }

  /** The next event of that name. */
  async next(name: string): Promise<Record<string, unknown>> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const at = this.#events.findIndex(({ event }) => event === name);
      const [found] = at === -1 ? [] : this.#events.splice(0, at + 1).slice(-1);
      if (found !== undefined) return found;
      if (performance.now() > endMs || this.child.exitCode !== null) throw new Error(`there was no ${name}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 1000);
      });
    }
  }
}

async function firstRow(connectionString: string): Promise<number> {
  const begin = performance.now();
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query('select 1');
  const ms = performance.now() - begin;
  await client.end();
  return ms;
}

const at = (numbers: readonly number[], q: number): string => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(0).padStart(8);
};

function row(name: string, numbers: readonly number[]): void {
  console.log(`${name.padEnd(44)}${[0, 0.5, 0.9, 0.99, 1].map((q) => at(numbers, q)).join('')}`);
}

async function fill(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    'create table if not exists filler as select n, repeat(md5(n::text), 30) as t from generate_series(1, $1) n',
    [Number(values.mb) * 1000],
  );
  await client.end();
}

async function measure(up: Up, isPrepared: boolean, runs: number): Promise<void> {
  const { url } = (await up.next('ready')) as { url: string };
  if (Number(values.mb) > 0) await fill(url);
  const prepares: number[] = [];
  const wakes: number[] = [];
  const starts: number[] = [];
  const awake: number[] = [];
  const floors: number[] = [];
  const state = JSON.parse(readFileSync(join(dir, 'local.json'), 'utf8')) as LocalJson;
  const { bindir } = defaultPostgres();
  for (let run = 1; run <= runs; run++) {
    await up.next('asleep');
    if (isPrepared) prepares.push((await up.next('prepared'))['ms'] as number);
    if (values.floor === 'yes') floors.push((await floorRun(state, { dir, bindir })).floor);
    wakes.push(await firstRow(url));
    starts.push((await up.next('woken'))['ms'] as number);
    awake.push(await firstRow(url));
    process.stderr.write(`\r${run}/${runs}`);
  }
  console.log(
    `\n${runs} wakes of a database with ${values.mb} MB more than an empty one, ${isPrepared ? 'each prepared' : 'nothing prepared'}, milliseconds: least, p50, p90, p99, most`,
  );
  row('first byte to first row, asleep', wakes);
  row('of these: demand until Postgres takes connections', starts);
  if (isPrepared) row('while asleep: to prepare the next one', prepares);
  if (floors.length > 0) row('the floor: untar and a bare Postgres', floors);
  row('first byte to first row, awake', awake);
  console.log(
    `load: ${loadavg()
      .map((each) => each.toFixed(1))
      .join(', ')}`,
  );
}

async function run(isPrepared: boolean, runs: number): Promise<void> {
  const up = new Up(isPrepared);
  // Nobody else would end it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => up.child.kill('SIGTERM'));
  try {
    await measure(up, isPrepared, runs);
  } finally {
    up.child.kill('SIGTERM');
    if (up.child.exitCode === null) await once(up.child, 'exit');
  }
}

try {
  if (values.prepare !== 'no') await run(true, Number(values.runs));
  if (values.prepare !== 'wait')
    await run(false, Number(values.prepare === 'no' ? values.runs : values.full));
} finally {
  rmSync(dir, { recursive: true, force: true });
}
