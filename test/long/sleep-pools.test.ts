import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testCache } from '../../scripts/shared-cache.mjs';
import type { StatusReport } from '../../src/local/status/schema.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import type { Program } from '../support/program.ts';

const rounds = Number(process.env['COMPUTE_SLEEP_ROUNDS'] ?? 20);
const files = fileURLToPath(new URL('pools', import.meta.url));
const connections = 5;

/** Null where it cannot be had; a line on stderr says so. */
function given<T>(what: string, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    process.stderr.write(`not tried: ${what}: ${String(error).split('\n')[0]}\n`);
    return null;
  }
}

/** Python with psycopg, in a place of its own. */
const python = (): string => {
  const home = join(testCache, 'pools-python');
  const program = join(home, 'bin/python');
  if (!existsSync(program)) execFileSync('python3', ['-m', 'venv', home], { stdio: 'pipe' });
  execFileSync(program, ['-m', 'pip', '-q', 'install', 'psycopg[binary,pool]==3.2.*'], { stdio: 'pipe' });
  return program;
};
const jars = (): string => {
  const home = join(testCache, 'pools-java');
  const args = [
    '-q',
    '-f',
    join(files, 'pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${home}`,
  ];
  execFileSync('mvn', args, { stdio: 'pipe' });
  return readdirSync(home)
    .map((name) => join(home, name))
    .join(':');
};

interface Pool {
  readonly name: string;
  readonly child: ChildProcess;
  /** What it says to a line. */
  answer(line: string): Promise<string>;
}

function pool(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv): Pool {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name,
    child,
    async answer(line) {
      child.stdin.write(`${line}\n`);
      const { value } = await lines.next();
      return String(value ?? 'it has ended');
    },
  };
}

let local: LocalRig;
let program: Program;
let to: PgTarget;
const pools: Pool[] = [];

beforeAll(async () => {
  local = localRig();
  ({ program, to } = await local.upAndReady(['--suspend-after', '1s']));
  await queryLocal(to, 'create table used (n text, pid int)');
  const { host, port, user, database } = to;
  const PGPASSWORD = to.password?.reveal() ?? '';
  const url = `postgresql://${user}@${host}:${port}/${database}`;
  pools.push(pool('node', process.execPath, [join(files, 'pool.mjs'), url], { PGPASSWORD }));
  const withPsycopg = given('psycopg', python);
  if (withPsycopg !== null)
    pools.push(pool('python', withPsycopg, [join(files, 'pool.py'), url], { PGPASSWORD }));
  const path = given('HikariCP', jars);
  const jdbc = `jdbc:postgresql://${host}:${port}/${database}`;
  if (path !== null)
    pools.push(pool('java', 'java', ['-cp', path, join(files, 'Pool.java'), jdbc, user], { PGPASSWORD }));
}, 600_000);

afterAll(async () => {
  for (const { child } of pools) {
    const exited = once(child, 'exit');
    child.stdin?.end();
    await exited;
  }
  await local.clean();
}, 120_000);

test(`pools of node-postgres, psycopg and HikariCP see nothing of ${rounds} sleeps`, async () => {
  const count = (event: string): number => program.stdout().split(`"event":"${event}"`).length - 1;
  const ask = async (round: number): Promise<void> => {
    const answers = await Promise.all(pools.map((one) => one.answer(String(round))));
    expect([round, ...answers]).toEqual([round, ...pools.map(() => 'ok')]);
  };
  await ask(0);
  for (let round = 1; round <= rounds; round++) {
    await expect.poll(() => count('asleep') > count('waking'), { timeout: 60_000 }).toBe(true);
    expect(count('asleep')).toBeGreaterThanOrEqual(round);
    await ask(round);
  }
  const { stdout } = await local.command('status', '--json');
  const { sleep } = (JSON.parse(stdout) as StatusReport).computes[0]!;
  const counted = "select count(*), count(distinct split_part(n, ' ', 1) || pid) from used";
  const [n, pids] = (await local.command('psql', '-XAtc', counted)).stdout.trim().split('|');
  expect({ ended: sleep?.ended_sessions, n }).toEqual({
    ended: 0,
    n: String(pools.length * connections * (rounds + 1)),
  });
  process.stderr.write(
    `${pools.map(({ name }) => name).join(', ')}: ${sleep?.suspends} sleeps, ${sleep?.wakes} wakes, ${n} statements, ${pids} server processes, no error\n`,
  );
});
