import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { Judge } from '../../../src/local/front/judge.ts';
import { type LastLook, lookLast } from '../../../src/local/front/last-look.ts';
import { observe } from '../../../src/local/front/observe.ts';
import { type Left, leaveAll } from '../../../src/local/front/suspend.ts';
import { type FrontRig, RawClient, frontRig } from '../../support/front-rig.ts';
import { oldestAndNewest } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const limits = { suspendAfterMs: 0, hardAfterMs: Infinity };
/** Of suspends with clients in the way. */
const rounds = Number(process.env['COMPUTE_FRONT_ROUNDS'] ?? 12);

describe.each(oldestAndNewest().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres }) => {
    let rig: FrontRig;
    let last: LastLook | null = null;
    const noted: string[] = [];

    beforeAll(async () => {
      rig = await frontRig(postgres);
    }, 60_000);
    afterEach(async () => {
      last?.release();
      noted.length = 0;
      // Postgres lists a session for a moment longer than the front.
      await eventually('the end of the clients', async () => {
        const { sessions } = await observe(rig.server, never);
        return (rig.front.sessions.length === 0 && sessions.length === 0) || undefined;
      });
    });
    afterAll(() => rig.close());

    /** Decides whether to sleep, as a suspend does; Postgres stays.
     *  @param before happens between the look that found nobody and the last one */
    async function suspend(before: () => Promise<unknown>): Promise<Left | null> {
      const { front, server } = rig;
      const judge = new Judge({
        front,
        limits: () => limits,
        observe: (signal) => observe(server, signal),
        async lookLast(signal) {
          await before();
          last = await lookLast(server, signal);
          return last;
        },
        commands: () => [],
        // The storage is not there, so what it has is not asked.
        unlogged: () => Promise.resolve([]),
        askCompute: () => Promise.resolve({ activeMs: null, isSettled: true }),
        note: (holders) => void noted.push(...holders.map(({ kind }) => kind)),
      });
      const look = async (signal: AbortSignal): Promise<LastLook | null> => {
        const found = await judge.lookLast(signal);
        // Nobody receives the WAL here.
        if (found !== null || noted.some((kind) => kind !== 'storage')) return found;
        return (last = await lookLast(server, signal));
      };
      return leaveAll(
        { front, limits, isHeld: () => judge.heldByClients().length > 0, look, onBegin: () => {} },
        never,
      );
    }
    const code = (config: pg.ClientConfig): Promise<unknown> =>
      rig.client(config).then(
        (one) => one.end().then(() => 'let in'),
        (error: { code?: unknown }) => error.code,
      );

    test('a session that comes past the front at the last moment keeps Postgres', async () => {
      let other: Promise<unknown> = Promise.resolve();
      const over = Promise.withResolvers<void>();
      const left = await suspend(
        () =>
          new Promise<void>((resolve) => {
            other = rig.asAdmin(async (one) => {
              await one.query("set application_name = 'psql'");
              resolve();
              await over.promise;
            });
          }),
      );
      expect([left, noted, rig.front.isAwake]).toEqual([null, ['socket', 'storage'], true]);
      over.resolve();
      await other;
      expect(await code({})).toBe('let in');
    });

    test('a password that is changed at the last moment is the one that counts asleep', async () => {
      await rig.admin("create role changes login password 'first'");
      const left = await suspend(() => rig.admin("alter role changes password 'second'"));
      expect(left).toMatchObject({ ended: 0 });
      expect(await code({ user: 'changes', password: 'first', database: 'ann' })).toBe('28P01');
      expect(rig.front.isDemanded).toBe(false);
      const waiting = code({ user: 'changes', password: 'second', database: 'ann' });
      await rig.front.demanded(AbortSignal.timeout(10_000));
      rig.front.open();
      expect(await waiting).toBe('let in');
    });

    test('roles, memberships and rights on databases do not change once it is decided', async () => {
      const left = await suspend(() => Promise.resolve());
      expect(left).not.toBeNull();
      const { server } = rig;
      for (const text of [
        "alter role ann password 'other'",
        'grant ann to changes',
        'revoke connect on database ann from public',
        'create role new',
        'drop role changes',
      ]) {
        const changed = rig.asAdmin(async (one) => {
          await one.query("set lock_timeout = '100ms'");
          return one.query(text);
        });
        await expect(changed).rejects.toMatchObject({ code: '55P03' });
      }
      // Others may still look.
      expect((await observe(server, never)).roster.roles.has('ann')).toBe(true);
      rig.front.reopen();
    });

    test('a client that connects while it is decided waits, and is served by whoever runs then', async () => {
      let waiting: Promise<unknown> = Promise.resolve();
      const left = await suspend(async () => {
        waiting = code({});
        await expect.poll(() => rig.front.joining.length).toBe(1);
        await rig.asAdmin(async (one) => {
          await one.query("set application_name = 'psql'");
          last = await lookLast(rig.server, never);
          last.release();
        });
      });
      if (left !== null) rig.front.reopen();
      expect(await waiting).toBe('let in');
    });

    test('whatever is asked in the moment of a suspend is answered once', async () => {
      const pool = await Promise.all(Array.from({ length: 4 }, () => rig.client()));
      const raw = new RawClient(rig.port);
      await raw.logIn(3 << 16, { user: 'ann', database: 'ann' }, 'secret');
      let [asked, slept, lastMs] = [0, 0, 20];
      const soon = (): Promise<void> =>
        new Promise((resolve) => {
          setTimeout(resolve, Math.random() * 1.5 * lastMs);
        });
      const one = async (client: pg.Client): Promise<string> => {
        const n = asked++;
        const { rows } = await client.query<{ n: number }>('select $1::int as n', [n]);
        return rows.length === 1 && rows[0]!.n === n ? 'answered' : 'wrong';
      };
      /** Three at once. */
      const many = async (): Promise<string> => {
        const query = Buffer.from(`select ${asked++}\0`);
        for (let each = 0; each < 3; each++) raw.say('Q', query);
        let types = '';
        while (types.split('Z').length < 4) types += (await raw.next())?.type ?? 'ZZZ';
        return types === 'TDCZTDCZTDCZ' ? 'answered' : types;
      };
      for (let round = 0; round < rounds; round++) {
        noted.length = 0;
        const asks = [...pool.map((client) => () => one(client)), many].slice(0, round % 6);
        const answers = asks.map((ask) => soon().then(ask));
        const beginMs = performance.now();
        const left = await suspend(() => Promise.resolve());
        lastMs = performance.now() - beginMs;
        // Somebody at last, when all were served before.
        answers.push(one(pool[0]!));
        if (left !== null) {
          slept++;
          await rig.front.demanded(AbortSignal.timeout(30_000));
          last?.release();
          rig.front.open();
        }
        expect(new Set(await Promise.all(answers))).toEqual(new Set(['answered']));
        last?.release();
      }
      expect(slept).toBeGreaterThan(0);
      raw.socket.destroy();
      for (const client of pool) await client.end();
    }, 600_000);

    test('a change of roles that is not committed keeps Postgres', async () => {
      const over = Promise.withResolvers<void>();
      let other: Promise<unknown> = Promise.resolve();
      const left = await suspend(
        () =>
          new Promise<void>((resolve) => {
            other = rig.asAdmin(async (one) => {
              await one.query("begin; alter role ann password 'secret'");
              resolve();
              await over.promise;
              await one.query('rollback');
            });
          }),
      );
      expect([left, noted]).toEqual([null, ['unreadable']]);
      over.resolve();
      await other;
    });
  },
);

test('sessions that Postgres cuts off because it is stopped are counted', async () => {
  const rig = await frontRig(oldestAndNewest().at(-1)!);
  try {
    const look = await lookLast(rig.server, never);
    const pids: number[] = [];
    const open = async (): Promise<unknown> =>
      rig.asAdmin(async (one) => {
        await one.query("set application_name = 'psql'");
        pids.push((await one.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid);
        return one.query('select pg_sleep(60)');
      });
    const ended = [open(), open(), open()].map((one) =>
      one.then(
        () => 'not ended',
        (error: { code?: unknown }) => error.code,
      ),
    );
    await expect.poll(() => pids.length).toBe(3);
    const counted = look.cutOff(new Set([pids[0]!]));
    const looks =
      "select from pg_stat_activity where application_name = 'compute_local_link' and query ~ 'postmaster.pid'";
    await expect.poll(async () => (await rig.admin(looks)).length).toBe(1);
    rig.cluster.postmaster.kill('SIGINT');
    expect(await Promise.all(ended)).toEqual(['57P01', '57P01', '57P01']);
    expect(await counted).toBe(2);
  } finally {
    await rig.close();
  }
});
