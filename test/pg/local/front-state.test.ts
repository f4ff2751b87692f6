import { connect } from 'node:net';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { ComputeError } from '../../../src/core/errors.ts';
import type { Session } from '../../../src/local/front/session.ts';
import { type FrontRig, frontRig } from '../../support/front-rig.ts';
import { oldestAndNewest } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const plpgsql = (name: string, body: string, more = ''): string =>
  `create function ${name} returns void language plpgsql ${more} as $f$ begin ${body} end $f$`;
const functions = [
  plpgsql('by_call(v text)', "perform set_config('app.called', v, false);"),
  plpgsql('by_set()', "set app.set = '7';"),
  plpgsql('for_now()', "perform set_config('app.now', coalesce('1', lower('X')), true);"),
  plpgsql('own()', "perform set_config('work_mem', '3MB', false);"),
  plpgsql('table_of_it()', 'create temp table made as select 1;'),
  plpgsql('views_it()', "execute 'create temp view made as select 1';"),
  plpgsql('and_dropped()', 'create temp table made (n int); drop table made;'),
  plpgsql('locks()', 'perform pg_advisory_lock(7);'),
  plpgsql('listens()', "execute 'listen news';"),
  plpgsql('cursor()', "execute 'declare c cursor with hold for select 1';"),
  plpgsql('privileged()', "set log_min_duration_statement = '1h';", 'security definer'),
  plpgsql('role_of_it()', "execute 'set role ann';"),
  "create function in_sql() returns text begin atomic select set_config('app.atomic', '1', false); end",
];
const parameter = (name: string): string => `the parameter app.${name}, set by a function`;

describe.each(oldestAndNewest().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres }) => {
    let rig: FrontRig;

    beforeAll(async () => {
      rig = await frontRig(postgres, { conf: 'max_prepared_transactions=2\n' });
      for (const text of functions) await rig.admin(text, 'ann');
    }, 60_000);
    afterEach(async () => {
      for (const one of rig.front.sessions) one.end('57P01', 'the test is over');
      await eventually('the end of the clients', () => rig.front.sessions.length === 0 || undefined);
    });
    afterAll(() => rig.close());

    const only = (): Session => rig.front.sessions[0]!;
    const loses = async (): Promise<readonly string[]> => {
      await expect.poll(() => only().quiet).toBe(true);
      await only().inspect();
      const found = only().found!;
      return 'holds' in found ? found.holds : [];
    };
    const end = async (one: pg.Client): Promise<void> => {
      await one.end();
      await expect.poll(() => rig.front.sessions.length).toBe(0);
    };
    /** As a suspend does it, with a server that stays. */
    async function sleeps(): Promise<void> {
      expect(await loses()).toEqual([]);
      const roster = await rig.asleep();
      expect(only().canReturn(roster)).toBe(true);
      only().detach();
      void rig.front.demanded(never).then(() => rig.front.open());
    }

    test.each([
      ['set_config in a function', ["select by_call('1')"], [parameter('called')]],
      ['SET in a function', ['select by_set()'], [parameter('set')]],
      ['set_config in a function in SQL', ['select in_sql()'], [parameter('atomic')]],
      ['set_config for a transaction, in a function', ['select for_now()'], []],
      ['a parameter of a function that was reset', ["select by_call('1')", 'reset all'], []],
      ['SET LOCAL', ['begin', "set local app.x = '1'", 'commit', 'discard all'], []],
      ['SET LOCAL of a parameter of the server', ['begin', "set local work_mem = '2MB'", 'commit'], []],
      ['a temporary table of a function', ['select table_of_it()'], ['temporary tables']],
      ['SELECT INTO', ['select 1 as n into temp made'], ['temporary tables']],
      ['a temporary view of a function', ['select views_it()'], ['temporary tables']],
      ['a temporary table that was dropped again', ['select and_dropped()'], []],
      ['a temporary table that was rolled back', ['begin', 'create temp table t ()', 'rollback'], []],
      ['an advisory lock of a function', ['select locks()'], ['advisory locks']],
      ['an advisory lock of a transaction', ['begin', 'select pg_advisory_xact_lock(1)', 'commit'], []],
      ['LISTEN in a function', ['select listens()'], ['LISTEN']],
      ['a cursor of a function', ['select cursor()'], ['cursors']],
      ['SET ROLE in a function', ['select role_of_it()'], ['SET ROLE']],
      ['a large object', ['begin', 'select lo_open(lo_create(0), 131072)', 'commit'], []],
      [
        'a parameter that a function of a superuser sets',
        ['select privileged()'],
        ['parameters that the role may not set itself'],
      ],
      [
        'a prepared transaction, which is not the session',
        ['begin', 'select 1', "prepare transaction 'two'", "rollback prepared 'two'"],
        [],
      ],
    ])('%s is found where a session would lose it', async (_, statements, found) => {
      const one = await rig.client();
      for (const text of statements) await one.query(text);
      expect(await loses()).toEqual(found);
      await one.query('discard all');
      // The other state of a session ends with that.
      expect(await loses()).toEqual([]);
      await end(one);
    });

    test('a parameter of the server that a function has set is there after a sleep', async () => {
      const one = await rig.client();
      await one.query('select own()');
      await sleeps();
      expect((await one.query('show work_mem')).rows).toEqual([{ work_mem: '3MB' }]);
      await end(one);
    });

    test('a parameter with the value that the role has by ALTER ROLE is none that a function has set', async () => {
      await rig.admin("alter role ann set app.called = 'by role'");
      const one = await rig.client();
      expect(await loses()).toEqual([]);
      await one.query("select by_call('other')");
      expect(await loses()).toEqual([parameter('called')]);
      await end(one);
      await rig.admin('alter role ann reset app.called');
    });

    test('a function that sets parameters which its callers name keeps every session', async () => {
      await rig.admin(plpgsql('local_of(k text)', "perform set_config('app.' || k, '1', true);"), 'ann');
      const one = await rig.client();
      expect(await loses()).toEqual([]);
      await rig.admin(plpgsql('any_of(k text)', 'perform set_config(k, lower(k), false);'), 'ann');
      await one.query("select any_of('app.any')");
      expect(await loses()).toEqual(['parameters that are named by what calls the function any_of']);
      await rig.admin('drop function any_of(text), local_of(text)', 'ann');
      await end(one);
    });

    test('who waits for a start that another program prevents is told so, and who comes later is served', async () => {
      await rig.asleep();
      const waiting = rig.client();
      await rig.front.demanded(never);
      rig.front.giveUp(new ComputeError('port', 'port 1 is used', { hint: 'stop that program' }));
      await expect(waiting).rejects.toMatchObject({
        code: '57P03',
        detail: 'port 1 is used',
        hint: 'stop that program',
      });
      const later = rig.client();
      await expect.poll(() => rig.front.sessions.some(({ isComing }) => isComing)).toBe(true);
      rig.front.open();
      await end(await later);
    });

    /** All that a client gets that sends these bytes and then waits. */
    const told = (bytes: Buffer): Promise<string> =>
      new Promise((resolve) => {
        let said = '';
        const socket = connect(rig.port, '127.0.0.1').on('error', () => {});
        socket.on('data', (chunk) => (said += chunk.toString('latin1')));
        socket.once('close', () => resolve(said));
        socket.write(bytes);
      });
    const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
    const startup = (text: string): Buffer => {
      const head = hex('00000000 00030000');
      const packet = Buffer.concat([head, Buffer.from(text, 'latin1')]);
      packet.writeUInt32BE(packet.length, 0);
      return packet;
    };

    test.each([
      ['a length of 0', hex('00000000'), '08P01'],
      ['a length of 3', hex('00000003'), '08P01'],
      ['a length without a code', hex('00000004'), '08P01'],
      ['a length of 2 GB', hex('80000000 00030000'), '08P01'],
      ['a length of -1', hex('ffffffff'), '08P01'],
      ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), '08P01'],
      ['a second request for TLS', hex('00000008 04d2162f 00000008 04d2162f'), 'N'],
      ['a cancel request without a key', hex('00000008 04d2162e'), '0A000'],
      ['protocol 2', hex('00000008 00020000'), '0A000'],
      ['parameters without an end', startup('user\0ann'), '08P01'],
      ['no user', startup('\0'), '28000'],
      ['no parameters at all', startup(''), '08P01'],
      ['an empty user', startup('user\0\0\0'), '28000'],
      ['an unknown kind of replication', startup('user\0ann\0replication\0maybe\0\0'), '22023'],
    ])('%s is refused asleep, and wakes nothing', async (_, bytes, code) => {
      await rig.asleep();
      expect(await told(bytes)).toContain(code);
      await expect.poll(() => rig.front.joining.length).toBe(0);
      expect(rig.front.isDemanded).toBe(false);
      rig.front.reopen();
    });

    test('a packet is read the same when its bytes come one by one, and the last name that is given twice counts', async () => {
      await rig.asleep();
      const bytes = startup(
        `user\0bob\0user\0${'n'.repeat(1000)}\0database\0${'d'.repeat(1000)}\0_pq_.x\0y\0\0`,
      );
      const socket = connect(rig.port, '127.0.0.1').on('error', () => {});
      let said = Buffer.alloc(0);
      socket.on('data', (chunk) => (said = Buffer.concat([said, chunk])));
      for (const byte of bytes) socket.write(Buffer.from([byte]));
      // NegotiateProtocolVersion, then the request for SCRAM.
      await expect.poll(() => said.toString('latin1')).toMatch(/^v[^]*_pq_\.x\0R[^]*SCRAM-SHA-256/);
      socket.destroy();
      await expect.poll(() => rig.front.joining.length).toBe(0);
      expect(rig.front.isDemanded).toBe(false);
      rig.front.reopen();
    });
  },
);
