import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { Metrics } from '../src/metrics/registry.ts';
import { Monitor } from '../src/monitor/monitor.ts';
import { withPg } from '../src/pg/client.ts';
import type { PgTarget } from '../src/pg/target.ts';
import { processesIn, rig } from '../test/support/compute.ts';

/** `npm run bench:idle -- --seconds 1800`: what a compute that nobody uses costs. First the checks of as long a time as fast as
 *  they go, with the heap weighed before and after; then the built program in real time. Exits 1 when an aim is missed.
 *  CI runs it for half a minute. */
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '1800' } } });
const seconds = Number(values.seconds);
const aims = { cpuPercent: 0.5, heapKilobytes: 512, rssMegabytes: 8 };
const settleMs = 10_000;
/** From here on processor time is judged, too. */
const longEnoughSeconds = 300;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const missed: string[] = [];
function tell(what: string, value: number, unit: string, aim?: number): void {
  const verdict =
    aim === undefined ? '' : value < aim ? ` (aim: below ${aim})` : ` MISSED (aim: below ${aim})`;
  if (verdict.includes('MISSED')) missed.push(what);
  console.log(`${what}: ${value.toFixed(2)} ${unit}${verdict}`);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function heapKilobytes(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    collect();
    await pause(100);
  }
  return process.memoryUsage().heapUsed / 1024;
}

/** Runs the checks of `worthSeconds` of idle time without the pauses between them. */
async function heapGrowth(target: PgTarget, worthSeconds: number): Promise<void> {
  const metrics = new Metrics();
  const done = async (check: string): Promise<number> => {
    const pattern = new RegExp(`^compute_pg_check_duration_seconds_count\\{check="${check}"\\} (\\d+)$`, 'm');
    return Number(pattern.exec(await metrics.render())?.[1] ?? 0);
  };
  const monitor = new Monitor({
    target,
    log: pino({ level: 'silent' }),
    metrics,
    isRunning: () => true,
    useStatistics: () => true,
    times: { activityMs: 5, freshMs: 10 },
  });
  const until = async (connects: number): Promise<void> => {
    while ((await done('connect')) < connects) await pause(200);
  };
  monitor.begin();
  const warm = 600;
  await until(warm);
  const before = await heapKilobytes();
  await until(warm + worthSeconds);
  const grown = (await heapKilobytes()) - before;
  const looks = await done('activity');
  await monitor.stop();
  console.log(`checks made: ${await done('connect')} on new connections, ${looks} on the kept one`);
  tell(`heap growth over the connections of ${worthSeconds} s`, grown, 'kB', aims.heapKilobytes);
}

/** Processor time of all threads of a process, in nanoseconds. */
function processorNs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, each) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${each}/schedstat`, 'utf8').split(' ');
    return sum + Number(ns);
  }, 0);
}

/** What the children that a process has reaped have used, in nanoseconds; the unit of /proc is 1/100 s. */
function reapedNs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) * 1e7;
}

const rssMegabytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const it = await rig();
const file = join(it.home, 'config.json');
const spec = it.spec();
// Otherwise Postgres cleans up its catalogs after a minute, which is most of the WAL.
const autovacuum = { name: 'autovacuum', value: 'off', vartype: 'bool' };
(spec['cluster'] as { settings: object[] }).settings.push(autovacuum);
writeFileSync(file, JSON.stringify(it.config(spec)));
const target: PgTarget = {
  host: '127.0.0.1',
  port: it.port,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
  options: '',
};
const args = ['-D', it.pgdata, '-c', file, '-i', 'compute-1', '--external-http-port', String(it.httpPort)];
const connstr = ['-C', `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`, '--internal-http-port', '0'];
const program = spawn(
  process.execPath,
  [join(import.meta.dirname, '..', 'compute_ctl.js'), ...args, ...connstr, '--exit-grace-ms', '0'],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let said = '';
program.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
try {
  while (!said.includes('compute start finished')) {
    if (program.exitCode !== null) throw new Error(said);
    await pause(50);
  }
  const pid = program.pid as number;
  const postmaster = Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const signal = new AbortController().signal;
  const lsn = (): Promise<number> =>
    withPg(
      target,
      { applicationName: 'compute_ctl:bench', connectMs: 5000, queryMs: 5000, signal },
      async (pg) => {
        const { rows } = await pg.query<{ at: number }>(
          "select (pg_current_wal_insert_lsn() - '0/0')::float8 at",
        );
        return rows[0]?.at ?? 0;
      },
    );
  await pause(settleMs);
  const postgresNs = (): number => {
    const living = processesIn(it.pgdata).filter((each) => each !== postmaster);
    return reapedNs(postmaster) + [postmaster, ...living].reduce((sum, each) => sum + tryNs(each), 0);
  };
  const [wal, own, postgres] = [await lsn(), processorNs(pid), postgresNs()];
  const startMs = performance.now();
  // The collector lets the heap fill up before it looks; growth is what the last third has more than the first.
  const highest = { first: 0, last: 0 };
  for (let left = seconds; left > 0; left -= 5) {
    await pause(Math.min(left, 5) * 1000);
    if (left > (seconds * 2) / 3) highest.first = Math.max(highest.first, rssMegabytes(pid));
    if (left <= seconds / 3) highest.last = Math.max(highest.last, rssMegabytes(pid));
  }
  const ns = (performance.now() - startMs) * 1e6;
  console.log(`idle for ${seconds} s`);
  // A short run is a check that nothing grows; how busy the machine is besides decides too much of the rest.
  const aim = seconds < longEnoughSeconds ? undefined : aims.cpuPercent;
  tell('processor, compute_ctl', ((processorNs(pid) - own) / ns) * 100, '% of a core', aim);
  tell('processor, Postgres', ((postgresNs() - postgres) / ns) * 100, '% of a core');
  tell('resident memory at the end', rssMegabytes(pid), 'MB');
  tell('growth of resident memory', highest.last - highest.first, 'MB', aims.rssMegabytes);
  tell('WAL written, autovacuum off', (await lsn()) - wal, 'bytes', 1000 + seconds * 20);
  await heapGrowth(target, Math.min(seconds * 10, 1800));
} finally {
  program.kill('SIGTERM');
  if (program.exitCode === null) await once(program, 'exit');
  await it.stop();
}
process.exit(missed.length === 0 ? 0 : 1);

function tryNs(pid: number): number {
  try {
    return processorNs(pid);
  } catch {
    return 0; // it has just ended, and is counted among those that were reaped
  }
}
