import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../test/support/cluster.ts';
import { frontRig } from '../test/support/front-rig.ts';
import { defaultPostgres } from '../test/support/postgres-versions.ts';

/** `npm run bench:front -- --seconds 5 --rounds 3`: what the front of compute-local costs. pgbench (select only), a large COPY in both
 *  directions and 500 idle clients: by the Unix socket of Postgres, by its TCP port, by a bare forwarder in Node (`pipe`), which is the floor of
 *  whatever stands between, and by the front; in turn. The forwarder and the front run in this process, whose processor time is what
 *  they take. `--what pgbench,copy,memory`, `--ways socket,front` and `--clients 1,8,50` leave out the rest. */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '1' },
    clients: { type: 'string', default: '1,8,50' },
    modes: { type: 'string', default: 'simple,extended,prepared' },
    ways: { type: 'string', default: 'socket,tcp,pipe,front' },
    what: { type: 'string', default: 'pgbench,copy,memory' },
    mb: { type: 'string', default: '1000' },
  },
});
const list = (text: string): string[] => text.split(',').map((each) => each.trim());

const rig = await frontRig(defaultPostgres(), { conf: 'max_connections=600\n' });
const { cluster, server } = rig;
const pipePort = await freePort();
const forwarder = createServer({ noDelay: true }, (client: Socket) => {
  const upstream = connect(join(server.dir, `.s.PGSQL.${server.port}`));
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.pipe(upstream).pipe(client);
}).listen(pipePort, '127.0.0.1');
await once(forwarder, 'listening');

const ways: Readonly<Record<string, readonly string[]>> = {
  socket: ['-h', server.dir, '-p', String(server.port)],
  tcp: ['-h', '127.0.0.1', '-p', String(cluster.port)],
  pipe: ['-h', '127.0.0.1', '-p', String(pipePort)],
  front: ['-h', '127.0.0.1', '-p', String(rig.port)],
};

function start(program: string, args: readonly string[]): ChildProcess {
  const env = { ...process.env, PGPASSWORD: 'secret', PGUSER: 'ann', PGDATABASE: 'ann' };
  return spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const child = start(program, args);
  let said = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}`);
  return said;
}

const at = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? 0;
/** A dash where a machine was too busy to do anything. */
const shown = (number: number, digits = 0): string =>
  (Number.isFinite(number) ? number.toFixed(digits) : '-').padStart(10);
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Median over the rounds of what each way has, the ways in turn. */
async function inTurn(measure: (to: readonly string[]) => Promise<readonly number[]>): Promise<number[][]> {
  const names = list(values.ways);
  const found = names.map((): number[][] => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [index, name] of names.entries()) found[index]!.push([...(await measure(ways[name]!))]);
  return found.map((rounds) => (rounds[0] ?? []).map((_, column) => at(rounds.map((one) => one[column]!))));
}

async function pgbench(): Promise<void> {
  await run('pgbench', [...ways['socket']!, '-i', '-q', '-s', '1']);
  console.log('\npgbench -S: transactions per second; processor time of this process for each, µs');
  console.log(
    `${' '.repeat(24)}${list(values.ways)
      .map((name) => name.padStart(20))
      .join('')}`,
  );
  for (const mode of list(values.modes))
    for (const clients of list(values.clients)) {
      const found = await inTurn(async (to) => {
        const before = cpuUs();
        const args = ['-n', '-S', '-M', mode, '-c', clients, '-j', clients === '1' ? '1' : '2'];
        const said = await run('pgbench', [...to, ...args, '-T', values.seconds]);
        const tps = Number(/tps = ([\d.]+)/.exec(said)?.[1]);
        const done = Number(/actually processed: (\d+)/.exec(said)?.[1]);
        return [tps, (cpuUs() - before) / done];
      });
      const cells = found.map(([tps = 0, us = 0]) => `${shown(tps)}${shown(us, 1)}`);
      console.log(`${mode.padEnd(12)}${clients.padStart(8)}    ${cells.join('')}`);
    }
}

/** Of a row, its end included. */
const copies: Readonly<Record<string, { readonly rowBytes: number; readonly share: number }>> = {
  'COPY out, rows of 1 kB': { rowBytes: 1000, share: 1 },
  'COPY out, rows of 50 bytes': { rowBytes: 50, share: 0.2 },
};

async function copy(): Promise<void> {
  console.log('\nMB per second (payload)');
  console.log(
    `${' '.repeat(36)}${list(values.ways)
      .map((name) => name.padStart(10))
      .join('')}`,
  );
  const row = (name: string, found: number[][]): void =>
    console.log(`${name.padEnd(36)}${found.map(([rate = 0]) => shown(rate)).join('')}`);
  const psql = async (to: readonly string[], text: string, way: string): Promise<number> => {
    const begin = performance.now();
    await run('sh', ['-c', `psql ${to.join(' ')} -Xqc "${text}" ${way}`]);
    return performance.now() - begin;
  };
  for (const [name, { rowBytes, share }] of Object.entries(copies)) {
    const rows = Math.round((Number(values.mb) * 1e6 * share) / rowBytes);
    const text = `copy (select repeat('x', ${rowBytes - 1}) from generate_series(1, ${rows})) to stdout`;
    row(name, await inTurn(async (to) => [(rows * rowBytes) / 1e3 / (await psql(to, text, '> /dev/null'))]));
  }
  await run('psql', [...ways['socket']!, '-Xqc', 'create table if not exists sink (t text)']);
  const filler = `yes ${'x'.repeat(999)} | head -c ${Number(values.mb) * 1e6} |`;
  row(
    'COPY in, rows of 1 kB, none kept',
    await inTurn(async (to) => {
      const begin = performance.now();
      await run('sh', ['-c', `${filler} psql ${to.join(' ')} -Xqc "copy sink from stdin where false"`]);
      return [(Number(values.mb) * 1e3) / (performance.now() - begin)];
    }),
  );
}

/** A client of pgbench that has been served once, and is idle. */
async function memory(): Promise<void> {
  console.log(
    '\nmemory of this process with 500 idle clients, MB more than before (resident, of it outside the heap)',
  );
  const mb = (): [number, number] => {
    globalThis.gc?.();
    const { rss, external } = process.memoryUsage();
    return [rss / 1e6, external / 1e6];
  };
  for (const name of list(values.ways).filter((each) => each === 'pipe' || each === 'front')) {
    const [rss, external] = mb();
    const child = start('sh', [
      '-c',
      `printf 'select 1;\\n\\\\sleep 6 s\\n' | pgbench ${ways[name]!.join(' ')} -n -c 500 -j 2 -t 1 -f /dev/stdin`,
    ]);
    child.stdout!.resume();
    const idle = `select from pg_stat_activity where usename = 'ann' and state = 'idle' and query = 'select 1;'`;
    while ((await rig.admin(idle)).length < 500) await new Promise((resolve) => setTimeout(resolve, 50));
    const [most, outside] = mb();
    console.log(`${name.padEnd(12)}${shown(most - rss, 1)}${shown(outside - external, 1)}`);
    if (child.exitCode === null) await once(child, 'close');
  }
}

const what = list(values.what);
try {
  console.log(
    `load at the beginning ${loadavg()[0]!.toFixed(1)}, ${values.rounds} rounds of ${values.seconds} s`,
  );
  if (what.includes('pgbench')) await pgbench();
  if (what.includes('copy')) await copy();
  if (what.includes('memory')) await memory();
  console.log(`\nload at the end ${loadavg()[0]!.toFixed(1)}`);
} finally {
  forwarder.close();
  await rig.close();
}
