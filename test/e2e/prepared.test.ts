import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { never } from '../../src/core/abort.ts';
import { withPg } from '../../src/pg/client.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import type { StatusReport } from '../../src/local/status/schema.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import type { Program } from '../support/program.ts';
import { processesIn } from '../support/compute.ts';

/** One `up` for all of it: it sleeps and wakes as the tests go on. */
let local: LocalRig;
let program: Program;
let to: PgTarget;
let rows = 0;

beforeAll(async () => {
  local = localRig();
  ({ program, to } = await local.upAndReady(['--suspend-after', '500ms']));
  await query('create table kept (n int primary key)');
  await query('create unlogged table passing (n int)');
}, 120_000);
afterAll(() => local.clean(), 60_000);

const slowly = { timeout: 60_000, interval: 100 };
const events = (name: string): Record<string, unknown>[] =>
  program
    .stdout()
    .split('\n')
    .filter((line) => line.includes(`"event":"${name}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const log = (): string => readFileSync(join(local.dir, 'log/compute_ctl.log'), 'utf8');
const next = (): string => join(local.dir, 'pgdata.next');
const note = (): string => join(next(), 'compute_ctl.prepared.json');

/** Asleep, and no preparation runs. */
async function settled(): Promise<void> {
  await expect.poll(() => events('asleep').length > events('waking').length, slowly).toBe(true);
  const over = (): number => events('prepared').length + events('not-prepared').length;
  await expect.poll(() => over() >= events('asleep').length, slowly).toBe(true);
}

/** The first statement on a busy machine waits for the start. */
async function query(sql: string): Promise<Record<string, unknown>[]> {
  const options = { applicationName: 'test', connectMs: 60_000, queryMs: 60_000, signal: never };
  return withPg(to, options, async (pg) => (await pg.query<Record<string, unknown>>(sql)).rows);
}

/** Wakes it with a commit, and finds every one before. @returns what compute_ctl said of the prepared directory */
async function wake(): Promise<string> {
  const before = log().length;
  await query(`insert into kept values (${rows})`);
  rows++;
  expect(await query('select count(*)::int as n from kept')).toEqual([{ n: rows }]);
  return (
    /the (?:prepared data directory .*|data directory was prepared .*)/.exec(log().slice(before))?.[0] ?? ''
  );
}

test('while it sleeps the next data directory is prepared, and the wakes after that use it', async () => {
  // Of a preparation that was killed, and its number is another process's by now.
  writeFileSync(
    join(local.dir, 'run/.s.PGSQL.65431.lock'),
    `${local.pidOf('storage')}\n${next()}.new\n0\n65431\n`,
  );
  await query('select');
  await settled();
  expect(events('prepared').at(-1)).toMatchObject({ lsn: expect.stringMatching(/^0\//) as unknown });
  const { disk } = JSON.parse((await local.command('status', '--json')).stdout) as StatusReport;
  expect(disk?.prepared_bytes).toBeGreaterThan(1e6);
  expect(await wake()).toContain('a base backup is not needed');
  expect(existsSync(next())).toBe(false);
  await settled();
  expect(await wake()).toContain('a base backup is not needed');
  expect(await query('select from passing')).toEqual([]);
  expect(processesIn(next())).toEqual([]);
  expect(readdirSync(local.pgdata).filter((name) => /prepared|recovery|backup_label/.test(name))).toEqual([]);
});

test('one that does not fit exactly is not used, and nothing is lost', async () => {
  const change = async (how: (text: string) => string, why: string): Promise<void> => {
    await settled();
    writeFileSync(note(), how(readFileSync(note(), 'utf8')));
    expect(await wake()).toContain(why);
    expect(existsSync(next())).toBe(false);
  };
  await change((text) => text.replace(/"lsn": "[^"]+"/, '"lsn": "0/8"'), 'it ends at LSN');
  await change(
    (text) => text.replace(/"timelineId": "\w+"/, `"timelineId": "${'c'.repeat(32)}"`),
    'timeline ccc',
  );
});

test('one that was made before another compute got its number is not used: its commits would hang', async () => {
  await settled();
  const { ports, controlPlaneToken } = local.state();
  const ask = async (path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const headers = {
      authorization: `Bearer ${String(controlPlaneToken)}`,
      'content-type': 'application/json',
    };
    const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${ports['controlPlane']}${path}`, init);
    expect(answer.status).toBe(200);
    return (await answer.json()) as Record<string, unknown>;
  };
  // As a start does it whose compute is killed before the storage has anything of it.
  const { generation, end_lsn } = await ask('/status');
  await ask('/generation', { generation, end_lsn });
  expect(await wake()).toContain('it is not complete');
  expect(existsSync(next())).toBe(false);
});

test("somebody else's directory in its place is left alone, and keeps the next one from being prepared", async () => {
  const making = join(local.dir, 'pgdata.next.new');
  await settled();
  mkdirSync(making);
  writeFileSync(join(making, 'notes'), 'mine');
  // Of the same OS user.
  const { uid, gid } = statSync(local.pgdata);
  for (const path of [making, join(making, 'notes')]) chownSync(path, uid, gid);
  await wake();
  await settled();
  // Once everything that was being made was removed after a failure, whosever it was.
  expect(readFileSync(join(making, 'notes'), 'utf8')).toBe('mine');
  rmSync(making, { recursive: true });
  const status = JSON.parse((await local.command('status', '--json')).stdout) as StatusReport;
  expect(status.computes[0]?.sleep?.next).toEqual({
    state: 'not_prepared',
    reason: expect.stringContaining('did not create') as unknown,
  });
  expect((await local.command('status')).stdout).toContain('the next start was not prepared');
  await wake();
  await settled();
  rmSync(next(), { recursive: true });
  mkdirSync(next());
  writeFileSync(join(next(), 'notes'), 'mine');
  expect(await wake()).toContain('left alone');
  await settled();
  expect(events('not-prepared').at(-1)).toMatchObject({
    reason: expect.stringContaining('did not create') as unknown,
  });
  expect(await wake()).toContain('left alone');
  expect(readFileSync(join(next(), 'notes'), 'utf8')).toBe('mine');
  rmSync(next(), { recursive: true });
});

test('one whose making is killed is not used, and the next one is', async () => {
  const killed = (): boolean => {
    try {
      const { pid } = JSON.parse(readFileSync(join(local.dir, 'next.pid'), 'utf8')) as { pid: number };
      return process.kill(pid, 'SIGKILL');
    } catch {
      return false;
    }
  };
  const before = events('not-prepared').length;
  await expect
    .poll(() => killed() || events('not-prepared').length > before, { ...slowly, interval: 1 })
    .toBe(true);
  await settled();
  expect(await wake()).toContain('there is none');
  await settled();
  expect(await wake()).toContain('a base backup is not needed');
});

test('an up that ended in order leaves it to the next one', async () => {
  await settled();
  const before = log().length;
  const { code } = await local.command('stop');
  expect([code, existsSync(next())]).toEqual([0, true]);
  await program.exited();
  ({ program, to } = await local.upAndReady(['--suspend-after', '500ms']));
  expect(log().slice(before)).toContain('a base backup is not needed');
  expect(await query('select count(*)::int as n from kept')).toEqual([{ n: rows }]);
});

test('after one that was killed it is not used, and every commit is found', async () => {
  await settled();
  program.kill('SIGKILL');
  await program.exited();
  expect(existsSync(next())).toBe(true);
  const before = log().length;
  ({ program, to } = await local.upAndReady());
  expect(log().slice(before)).toContain('there is none');
  expect(existsSync(next())).toBe(false);
  expect(await query('select count(*)::int as n from kept')).toEqual([{ n: rows }]);
  const old = (): string[] => readdirSync(local.dir).filter((name) => name.startsWith('pgdata.old-'));
  await expect.poll(old, slowly).toEqual([]);
});

test('an unlogged sequence begins anew after a stop, and after a kill: it had "bad magic number" after each', async () => {
  await query('create unlogged sequence passing_number start 7');
  await query('create unlogged table jobs (id serial, what text)');
  for (const how of ['stop', 'kill'] as const) {
    const first = `insert into jobs (what) values ('${how}') returning id, nextval('passing_number')::int as n`;
    await query(first);
    if (how === 'stop') await local.command('stop');
    else program.kill('SIGKILL');
    await program.exited();
    ({ program, to } = await local.upAndReady());
    expect([how, await query(first)]).toEqual([how, [{ id: 1, n: 7 }]]);
  }
  expect(log()).toContain('Postgres is started once more, which repairs unlogged sequences');
}, 180_000);
