import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { type FrontRig, RawClient, cancelPacket, frontRig } from '../../support/front-rig.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';

const version = (minor: number): number => (3 << 16) | minor;
const me = { user: 'ann', database: 'ann' };
type Said = { type: string; body: Buffer }[];
const keyOf = (said: Said): Buffer => said.find(({ type }) => type === 'K')!.body;

describe.each(installedPostgres().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres, major }) => {
    let rig: FrontRig;
    const newest = major < 18 ? 0 : 2;

    beforeAll(async () => {
      rig = await frontRig(postgres, { more: { wakeMs: 300 } });
    }, 60_000);
    afterAll(() => rig.close());

    async function open(minor: number, parameters: Record<string, string> = {}): Promise<[RawClient, Said]> {
      const raw = new RawClient(rig.port);
      const said = await raw.logIn(version(minor), { ...me, ...parameters }, 'secret');
      return [raw, said];
    }
    const end = async (raw: RawClient): Promise<void> => {
      raw.say('X', Buffer.alloc(0));
      await expect.poll(() => rig.front.sessions.length).toBe(0);
    };
    async function cancel(key: Buffer): Promise<void> {
      const socket = connectTcp(rig.port, '127.0.0.1').on('error', () => {});
      socket.resume().write(cancelPacket(key));
      await once(socket, 'close');
    }
    /** The SQLSTATE with which a long statement ends once it is cancelled. */
    async function cancelled(raw: RawClient, key: Buffer): Promise<string | undefined> {
      raw.say('Q', Buffer.from('select pg_sleep(30)\0'));
      const running = "select from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'";
      await expect.poll(async () => (await rig.admin(running)).length).toBe(1);
      await cancel(key);
      for (;;) {
        const packet = await raw.next();
        if (packet === null) return undefined;
        if (packet.type === 'E') return /\0C(.{5})\0/.exec(packet.body.toString('latin1'))?.[1];
      }
    }
    const asked = (said: Said): number | undefined =>
      said.find(({ type }) => type === 'v')?.body.readInt32BE(0);

    test.each([
      ['3.0', 0, false],
      ['3.2', 2, newest < 2],
      ['3.9999', 9999, true],
    ])('version %s is agreed on asleep as it is awake, and its key cancels', async (_, minor, isChanged) => {
      const [raw, awake] = await open(minor);
      const [key, negotiated] = [keyOf(awake), asked(awake)];
      expect(negotiated).toBe(isChanged ? version(newest) : undefined);
      expect(key.length).toBe(minor > 0 && newest > 0 ? 36 : 8);
      expect(await cancelled(raw, key)).toBe('57014');
      await end(raw);
      await rig.asleep();
      const opening = open(minor);
      await rig.front.demanded(never);
      rig.front.open();
      const [again, asleep] = await opening;
      expect(asked(asleep)).toBe(negotiated);
      expect(keyOf(asleep).length).toBe(key.length);
      expect(asleep.map(({ type }) => type).filter((type) => type !== 'S')).toEqual(
        awake.map(({ type }) => type).filter((type) => type !== 'S'),
      );
      expect(await cancelled(again, keyOf(asleep))).toBe('57014');
      await end(again);
    });

    test('the key of a session stays over a sleep, however long it is, and wakes nothing', async () => {
      const [raw, said] = await open(2);
      const key = keyOf(said);
      const session = rig.front.sessions[0]!;
      await expect.poll(() => session.quiet).toBe(true);
      await session.inspect();
      const roster = await rig.asleep();
      expect(session.canReturn(roster)).toBe(true);
      session.detach();
      await cancel(key);
      await cancel(Buffer.concat([key.subarray(0, 4), Buffer.alloc(256, 1)]));
      expect(rig.front.isDemanded).toBe(false);
      void rig.front.demanded(never).then(() => rig.front.open());
      expect(await cancelled(raw, key)).toBe('57014');
      await end(raw);
    });

    test('who waits longer than the limit for a start is told 57P03', async () => {
      const roster = await rig.asleep();
      await expect(rig.client()).rejects.toMatchObject({ severity: 'FATAL', code: '57P03' });
      expect([rig.front.isDemanded, rig.front.joining.length]).toEqual([true, 0]);
      rig.front.open();
      // An idle connection, too.
      const one = await rig.client();
      await one.query('select 1');
      const session = rig.front.sessions[0]!;
      await expect.poll(() => session.quiet).toBe(true);
      await session.inspect();
      rig.front.shut(roster);
      expect(session.canReturn(roster)).toBe(true);
      session.detach();
      await expect(one.query('select 1')).rejects.toMatchObject({ code: '57P03' });
      rig.front.open();
    });

    test('direct TLS is closed asleep as by a Postgres without TLS, and wakes nothing', async () => {
      const seen = async (port: number): Promise<string> => {
        const options = { host: '127.0.0.1', port, ALPNProtocols: ['postgresql'], rejectUnauthorized: false };
        const socket = connectTls(options);
        const [error] = (await once(socket, 'error')) as [{ code?: string }];
        socket.destroy();
        return String(error.code);
      };
      const [awake, directly] = [await seen(rig.port), await seen(rig.cluster.port)];
      await rig.asleep();
      expect([await seen(rig.port), awake, rig.front.isDemanded]).toEqual([
        'ECONNRESET',
        'ECONNRESET',
        false,
      ]);
      rig.front.reopen();
      // Before 17 it takes it for a long packet.
      expect(directly).toMatch(/ECONNRESET|ERR_SSL/);
    });
  },
);
