import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '../../src/local/status/schema.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import type { Program } from '../support/program.ts';

/** One `up` for all of it: it sleeps and wakes as the tests go on. */
let local: LocalRig;
let program: Program;
let to: PgTarget;
const open: pg.Client[] = [];

beforeAll(async () => {
  local = localRig();
  ({ program, to } = await local.upAndReady([
    ...['--suspend-after', '700ms', '--suspend-hard-after', '3s'],
    ...['--suspend-ignore', 'app:monitor*'],
  ]));
}, 120_000);

afterAll(async () => {
  for (const client of open) await client.end().catch(() => {});
  await local.clean();
}, 60_000);

const url = (changes: Partial<PgTarget> = {}): pg.ClientConfig => {
  const { host, port, user, password, database } = { ...to, ...changes };
  return { host, port, user, password: password?.reveal() ?? '', database };
};

async function session(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...url(), ...config });
  client.on('error', () => {});
  await client.connect();
  open.push(client);
  return client;
}

async function status(): Promise<{ code: unknown; report: StatusReport; main: StatusReport['computes'][0] }> {
  const { code, stdout } = await local.command('status', '--json');
  const report = JSON.parse(stdout) as StatusReport;
  return { code, report, main: report.computes[0]! };
}

const slowly = { timeout: 30_000, interval: 150 };
/** What `up` has printed. */
const events = (name: string): Record<string, unknown>[] =>
  program
    .stdout()
    .split('\n')
    .filter((line) => line.includes(`"event":"${name}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const isAsleep = (): boolean => events('asleep').length > events('waking').length;
const asleep = async (): Promise<void> => {
  await expect.poll(isAsleep, slowly).toBe(true);
};
/** The SQLSTATE that a failed promise has. */
const code = async (failing: Promise<unknown>): Promise<unknown> =>
  failing.then(
    () => 'nothing failed',
    (error: { code?: unknown }) => error.code,
  );

/** Sends bytes, and resolves with what comes back when the server or nobody goes on. */
async function raw(bytes: Buffer, answers = 1): Promise<Buffer> {
  const socket = connect(to.port, to.host).on('error', () => {});
  const said: Buffer[] = [];
  socket.on('data', (chunk) => {
    said.push(chunk);
    if (said.length >= answers) socket.destroy();
  });
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(said);
}

const packet = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

test('a compute that nobody uses is stopped, the storage is not, and status says that all is well', async () => {
  const client = await session();
  await client.query('create table kept as select 1 as n');
  await client.end();
  await asleep();
  expect(local.pidOf('compute_ctl')).toBeUndefined();
  expect(local.pidOf('postgres')).toBeUndefined();
  expect(local.pidOf('storage')).toBeDefined();
  const { code: exit, report, main } = await status();
  expect({ exit, state: report.state, running: report.running, problems: report.problems }).toEqual({
    exit: 0,
    state: 'asleep',
    running: true,
    problems: [],
  });
  expect(main.sleep).toMatchObject({ kept_awake_by: [], clients: 0, suspend_after_ms: 700 });
  // Nobody else gets the port meanwhile.
  const answer = await fetch(`http://127.0.0.1:${main.ports.http}/readyz`);
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('asleep')]);
  // Both say so, without a token, and wake nothing.
  const asked = await fetch(`http://127.0.0.1:${main.ports.http}/status`);
  const since = expect.stringMatching(/^20.*Z$/) as unknown;
  const counts = { suspends: 1, wakes: 0, ended_sessions: 0, clients: 0 };
  expect([asked.status, await asked.json()]).toEqual([200, { status: 'asleep', since, ...counts }]);
  const metrics = await (await fetch(`http://127.0.0.1:${main.ports.http}/metrics`)).text();
  expect(metrics).toMatch(/\ncompute_local_asleep 1\n[^]*\ncompute_local_suspends_total 1\n/);
  expect([isAsleep(), events('waking').length]).toEqual([true, 0]);
});

test('scans, cancel requests, TLS and clients that are refused wake nothing', async () => {
  await asleep();
  const before = events('waking').length;
  const ssl = packet(int32(80877103));
  expect(await raw(ssl)).toEqual(Buffer.from('N'));
  expect(await raw(packet(int32(80877104)))).toEqual(Buffer.from('N'));
  expect(await raw(packet(int32(80877102), int32(1), int32(2)))).toEqual(Buffer.alloc(0));
  expect(await raw(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]))).toEqual(Buffer.alloc(0));
  expect((await raw(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toString()).toContain('C08P01');
  expect(await code(session({ password: 'wrong' }))).toBe('28P01');
  expect(await code(session({ user: 'nobody' }))).toBe('28P01');
  expect(await code(session({ user: 'cloud_admin' }))).toBe('28000');
  expect(await code(session({ database: 'nowhere' }))).toBe('3D000');
  // Protocol 3.9999 with an option that nobody knows is answered with what there is.
  const startup = packet(int32((3 << 16) | 9999), Buffer.from('user\0app\0_pq_.grease\0on\0\0'));
  expect((await raw(startup)).toString('latin1')).toMatch(/^v.*_pq_\.grease\0/s);
  expect(events('waking')).toHaveLength(before);
});

test('many clients at once start it once, and find what was committed before', async () => {
  await asleep();
  const before = events('waking').length;
  const found = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const client = await session();
      const { rows } = await client.query<{ n: number }>('select n from kept');
      await client.end();
      return rows[0]?.n;
    }),
  );
  expect(new Set(found)).toEqual(new Set([1]));
  expect(events('waking')).toHaveLength(before + 1);
  expect(events('woken').at(-1)).toMatchObject({ by: expect.stringContaining('role "app"') as unknown });
});

test('idle clients keep their connection, parameters and prepared statements, and can still cancel', async () => {
  const clients = await Promise.all([session(), session(), session()]);
  const [first, second, third] = clients;
  const named = { name: 'named', text: 'select $1::int + n as m from kept', values: [1] };
  const pids = async (): Promise<unknown[]> =>
    Promise.all(clients.map(async (one) => (await one.query('select pg_backend_pid()')).rows[0]));
  await first.query("set work_mem = '7MB'");
  await second.query(named);
  const before = await pids();
  for (let round = 1; round <= 3; round++) {
    await asleep();
    const { main } = await status();
    expect(main.sleep).toMatchObject({ clients: clients.length });
    const [memory, sum] = await Promise.all([first.query('show work_mem'), second.query(named)]);
    expect(memory.rows).toEqual([{ work_mem: '7MB' }]);
    expect(sum.rows).toEqual([{ m: 2 }]);
  }
  expect(await pids()).not.toEqual(before);
  // The key is that of its first server process.
  const { processID, secretKey } = third as unknown as { processID: number; secretKey: number };
  const long = code(third.query('select pg_sleep(30)'));
  await expect
    .poll(async () => {
      await raw(packet(int32(80877102), int32(processID), int32(secretKey)));
      return Promise.race([long, new Promise((resolve) => setTimeout(resolve, 200, 'waits'))]);
    }, slowly)
    .toBe('57014');
  for (const one of clients) await one.end();
});

test('a transaction keeps it awake, and status says whose it is', async () => {
  const client = await session({ application_name: 'batch' });
  await client.query('begin');
  await expect
    .poll(async () => (await status()).main.sleep?.kept_awake_by, slowly)
    .toMatchObject([
      { kind: 'transaction', who: expect.stringContaining('(application "batch")') as unknown },
    ]);
  await client.query('commit');
  await asleep();
  await client.end();
});

test('a session that would lose something keeps it awake until the hard limit, and ends with 57P01', async () => {
  const client = await session();
  const ended = once(client, 'error');
  await client.query('listen news');
  await client.query('create temp table t (n int)');
  await client.query("select set_config('app.tenant', '5', false)");
  await expect
    .poll(async () => (await status()).main.sleep?.kept_awake_by, slowly)
    .toMatchObject([
      {
        kind: 'state',
        who: expect.stringMatching(/temporary tables, LISTEN, parameters of an application/) as unknown,
      },
    ]);
  expect(await ended).toMatchObject([{ code: '57P01' }]);
  await asleep();
  expect((await status()).main.sleep).toMatchObject({ ended_sessions: 1 });
});

test('rows of an unlogged table, which the next start would not have, keep it awake', async () => {
  const client = await session();
  await client.query('create unlogged table cache (n int primary key)');
  await asleep();
  await client.query('insert into cache values (1)');
  const holders = async (): Promise<unknown> => (await status()).main.sleep?.kept_awake_by;
  const file = expect.stringMatching(/^base\/\d+\/\d+$/) as unknown;
  await expect.poll(holders, slowly).toMatchObject([{ kind: 'unlogged', who: file }, { kind: 'unlogged' }]);
  await client.query('truncate cache');
  await asleep();
  await client.query('drop table cache');
  await client.end();
});

test('an unlogged sequence, which the next start would not have, keeps it awake', async () => {
  const client = await session();
  await client.query('create unlogged sequence numbers');
  const holders = async (): Promise<unknown> => (await status()).main.sleep?.kept_awake_by;
  await expect.poll(holders, slowly).toMatchObject([{ kind: 'unlogged' }]);
  expect((await client.query("select nextval('numbers')::int as n")).rows).toEqual([{ n: 1 }]);
  await client.query('alter sequence numbers set logged');
  await asleep();
  expect((await client.query("select nextval('numbers') > 1 as goes_on")).rows).toEqual([{ goes_on: true }]);
  await client.query('drop sequence numbers');
  await client.end();
});

test('a commit that the storage does not have yet keeps it awake: the next start would be without it', async () => {
  const client = await session();
  const { tenantId, timelineId } = local.state() as unknown as Record<string, string>;
  const file = join(local.dir, 'storage', tenantId ?? '', timelineId ?? '', 'receiver.pid');
  const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGSTOP');
  try {
    await client.query('set synchronous_commit = local');
    await client.query('create table alone (n int)');
    await client.end();
    const holders = async (): Promise<unknown> => (await status()).main.sleep?.kept_awake_by;
    await expect.poll(holders, slowly).toMatchObject([{ kind: 'storage' }]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await asleep();
  const again = await session();
  expect((await again.query('select count(*)::int as n from alone')).rows).toEqual([{ n: 0 }]);
  await again.end();
});

test('an application that is ignored does not keep it awake, and loses only what it is in', async () => {
  const [idle, busy] = await Promise.all([
    session({ application_name: 'monitoring' }),
    session({ application_name: 'monitor 2' }),
  ]);
  const ended = once(busy, 'error');
  const asking = setInterval(() => void idle.query('select 1').catch(() => {}), 100);
  await busy.query('begin');
  expect(await ended).toMatchObject([{ code: '57P01' }]);
  clearInterval(asking);
  expect((await idle.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
  await idle.end();
});

test('what reaches Postgres without the front wakes it: the superuser, and what is wanted of it', async () => {
  const commands = [
    ['psql', '--admin', '-XAtc', 'select current_user'],
    ['init', '--json'],
    ['plan', '--json'],
    ['apply', '--json'],
  ];
  const answers: string[] = [];
  for (const words of commands) {
    await asleep();
    const { code: exit, stdout, stderr } = await local.command(...words);
    expect([words[0], exit === 3 ? 0 : exit, stderr.includes('Error')]).toEqual([words[0], 0, false]);
    answers.push(stdout);
  }
  expect(answers[0]?.trim()).toBe('cloud_admin');
  expect(events('waking').at(-3)).toMatchObject({ by: 'compute-local psql --admin' });
  expect(JSON.parse(answers[2] ?? '')).toMatchObject({ running: true });
  expect(JSON.parse(answers[3] ?? '')).toMatchObject({ accepted: true });
});

test('a command past the front keeps it awake for as long as it takes, whatever the role app may do', async () => {
  await asleep();
  const { ended_sessions: before = 0 } = (await status()).main.sleep ?? {};
  const long =
    'select pg_sleep(0); create role other; alter role app nologin; select pg_sleep(2.5); alter role app login';
  const running = local.command('psql', '--admin', '-XAtc', long);
  const holders = async (): Promise<unknown> => (await status()).main.sleep?.kept_awake_by;
  const command = { kind: 'command', who: 'compute-local psql --admin' };
  await expect.poll(holders, slowly).toContainEqual(expect.objectContaining(command));
  expect(await running).toMatchObject({ code: 0 });
  await asleep();
  expect((await status()).main.sleep).toMatchObject({ ended_sessions: before });
  // Asleep, the role cannot log in; the command needs no role.
  const off = await local.command('psql', '--admin', '-XAtc', 'alter role app nologin');
  expect(off.code).toBe(0);
  await asleep();
  expect(await code(session())).toBe('28000');
  expect(isAsleep()).toBe(true);
  expect(
    (await local.command('psql', '--admin', '-XAtc', 'alter role app login; drop role other')).code,
  ).toBe(0);
});

test('a stop while it sleeps is as any other, and ends the clients that are still there', async () => {
  const client = await session();
  const ended = once(client, 'error');
  await asleep();
  program.kill('SIGINT');
  expect(await ended).toMatchObject([{ code: '57P01' }]);
  expect(await program.exited()).toBe(0);
  expect(existsSync(join(local.dir, 'sleep.json'))).toBe(false);
});
