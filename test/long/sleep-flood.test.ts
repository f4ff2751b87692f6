import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '../../src/local/status/schema.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { RawClient, bare, cancelPacket } from '../support/front-rig.ts';
import { type LocalRig, localRig } from '../support/local.ts';
import type { Program } from '../support/program.ts';

const each = Number(process.env['COMPUTE_SLEEP_FLOOD'] ?? 10_000);
const clients = 1000;
const atOnce = 50;

let local: LocalRig;
let program: Program;
let to: PgTarget;

beforeAll(async () => {
  local = localRig();
  ({ program, to } = await local.upAndReady(['--suspend-after', '1s']));
  const admin = (sql: string) => local.command('psql', '--admin', '-XAtc', sql);
  await admin(
    "create role other login password 'secret'; create database closed owner other; revoke connect on database closed from public",
  );
}, 300_000);
afterAll(() => local.clean(), 120_000);

const count = (event: string): number => program.stdout().split(`"event":"${event}"`).length - 1;
const asleep = async (): Promise<void> => {
  await expect.poll(() => count('asleep') > count('waking'), { timeout: 120_000 }).toBe(true);
};
const password = (): string => to.password?.reveal() ?? '';

/** Runs `work` many times, some at once. @returns milliseconds */
async function many(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  let left = each;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return Math.round(performance.now() - startMs);
}

async function raw(bytes: Buffer): Promise<void> {
  const socket = connect(to.port, to.host).on('error', () => {});
  const closed = once(socket, 'close');
  socket.resume();
  socket.once('data', () => socket.destroy());
  socket.write(bytes);
  await closed;
}

const refused = async (secret: string, database: string): Promise<void> => {
  const client = new RawClient(to.port);
  const said = await client.logIn(3 << 16, { user: to.user, database }, secret);
  client.socket.destroy();
  expect(said.at(-1)?.type).toBe('E');
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

test(`${each} scans, cancels, TLS requests and refused log-ins each wake nothing`, async () => {
  await asleep();
  const before = count('waking');
  const ms = {
    scans: await many(() => raw(Buffer.from('GET / HTTP/1.1\r\n\r\n'))),
    cancels: await many(() => raw(cancelPacket(Buffer.alloc(8, 1)))),
    tls: await many(() => raw(bare(int32(80877103)))),
    'wrong passwords': await many(() => refused('wrong', to.database)),
    'right passwords without CONNECT': await many(() => refused(password(), 'closed')),
  };
  expect(count('waking')).toBe(before);
  process.stderr.write(`${each} of each, milliseconds: ${JSON.stringify(ms)}; wakes: 0\n`);
});

test(`${clients} clients at once are served by one wake`, async () => {
  await asleep();
  const before = count('waking');
  const { host, port, user, database } = to;
  const answers = await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new pg.Client({ host, port, user, password: password(), database });
      client.on('error', () => {});
      try {
        await client.connect();
        const { rows } = await client.query<{ n: number }>('select 1 as n');
        await client.end();
        return rows[0]?.n === 1 ? 'served' : 'wrong';
      } catch (error) {
        return String((error as { code?: unknown }).code);
      }
    }),
  );
  const tally: Record<string, number> = {};
  for (const answer of answers) tally[answer] = (tally[answer] ?? 0) + 1;
  const { stdout } = await local.command('status', '--json');
  const ms = (JSON.parse(stdout) as StatusReport).computes[0]!.sleep?.last_wake_ms;
  process.stderr.write(`${clients} clients: ${JSON.stringify(tally)}, one wake of ${ms} ms\n`);
  expect([count('waking') - before, (tally['served'] ?? 0) + (tally['53300'] ?? 0)]).toEqual([1, clients]);
});
