import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrontRig, RawClient, frontRig } from '../../support/front-rig.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';

const long = 'r'.repeat(70);

describe.each(installedPostgres().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres }) => {
    let rig: FrontRig;

    beforeAll(async () => {
      rig = await frontRig(postgres);
      for (const text of [
        "create role late login password 'secret' valid until '2001-01-01'",
        "create role never login password 'secret' valid until '-infinity'",
        "create role always login password 'secret' valid until 'infinity'",
        "create role old login password 'md5d41d8cd98f00b204e9800998ecf8427e'",
        'create role bare login',
        "create role off nologin password 'secret'",
        "create role full login password 'secret' connection limit 0",
        "create role streams login replication password 'secret'",
        "create role great login superuser password 'secret' connection limit 0",
        "create role member login password 'secret'",
        `create role ${long.slice(0, 63)} login password 'secret'`,
        'create database "private"',
        'revoke connect on database "private" from public',
        'grant ann to member',
        'grant connect on database "private" to ann',
        'create database "none" connection limit 0',
        'create database "shut" allow_connections false',
      ])
        await rig.admin(text);
    }, 60_000);
    afterAll(() => rig.close());

    /** All that a client sees of a refusal. */
    const answer = async (config: pg.ClientConfig): Promise<unknown> => {
      try {
        await (await rig.client(config)).end();
        return 'let in';
      } catch (error) {
        const { severity, code, message, detail, hint } = error as Record<string, string | undefined>;
        return { severity, code, message, detail, hint };
      }
    };

    test.each([
      ['a wrong password', { password: 'wrong' }, '28P01'],
      ['a role that does not exist', { user: 'bob' }, '28P01'],
      ['a password that is not valid any more', { user: 'late' }, '28P01'],
      ['a password that never was valid', { user: 'never' }, '28P01'],
      ['a role with an MD5 password', { user: 'old' }, '28P01'],
      ['a role without a password', { user: 'bare' }, '28P01'],
      ['a name that is too long, and a wrong password', { user: long, password: 'wrong' }, '28P01'],
      ['a role with NOLOGIN', { user: 'off' }, '28000'],
      ['a wrong password of a role with NOLOGIN', { user: 'off', password: 'wrong' }, '28P01'],
      ['a role with CONNECTION LIMIT 0', { user: 'full', database: 'ann' }, '53300'],
      ['a database that does not exist', { database: 'nowhere' }, '3D000'],
      ['a database with a name that is too long', { database: long }, '3D000'],
      ['a database that accepts no connections', { database: 'shut' }, '55000'],
      ['the same as a superuser', { user: 'great', database: 'shut' }, '55000'],
      ['a database with CONNECTION LIMIT 0', { database: 'none' }, '53300'],
      ['a role without CONNECT', { user: 'always', database: 'private' }, '42501'],
      ['logical replication without the attribute', { database: 'ann', replication: 'database' }, '42501'],
      ['physical replication', { replication: 'true' }, '28000'],
      ['physical replication of a role that may', { user: 'streams', replication: 'yes' }, '28000'],
      ['replication of some other kind', { replication: 'maybe' }, '22023'],
    ] as [string, pg.ClientConfig, string][])(
      '%s is refused asleep in the words of Postgres, and wakes nothing',
      async (_, config, code) => {
        const awake = await answer(config);
        expect(awake).toMatchObject({ code });
        await rig.asleep();
        const asleep = await answer(config);
        const wakes = rig.front.isDemanded;
        rig.front.reopen();
        expect({ asleep, wakes }).toEqual({ asleep: awake, wakes: false });
      },
    );

    test.each([
      ['a password that is valid for ever', { user: 'always', database: 'ann' }],
      ['a member of a role with CONNECT', { user: 'member', database: 'private' }],
      ['the owner of a database', { database: 'ann' }],
      ['a superuser, whatever the limits', { user: 'great', database: 'none' }],
      ['a name that is too long for PostgreSQL', { user: long, database: 'ann' }],
      [
        'logical replication with the attribute',
        { user: 'streams', database: 'ann', replication: 'database' },
      ],
    ] as [string, pg.ClientConfig][])('%s is let in asleep as awake', async (_, config) => {
      expect(await answer(config)).toBe('let in');
      await rig.asleep();
      const waiting = answer(config);
      await rig.front.demanded(AbortSignal.timeout(10_000));
      rig.front.open();
      expect(await waiting).toBe('let in');
      await expect.poll(() => rig.front.sessions.length).toBe(0);
    });

    /** What a stranger can learn of a role: salt and number of iterations. */
    const challenge = async (user: string): Promise<string | undefined> => {
      const raw = new RawClient(rig.port);
      raw.begin(3 << 16, { user });
      await raw.next();
      const { serverFirst } = await raw.challenge();
      raw.socket.destroy();
      return /,s=.*$/.exec(serverFirst)?.[0];
    };

    test.each(['bob', 'ann', 'late', 'old', 'bare', 'off', 'größe', long])(
      'whether the role %s exists cannot be told from its salt, asleep or awake',
      async (user) => {
        const awake = await challenge(user);
        expect(awake).toMatch(/^,s=.{24},i=4096$/);
        expect(await challenge(user)).toBe(awake);
        await rig.asleep();
        const asleep = await challenge(user);
        rig.front.reopen();
        expect(asleep).toBe(awake);
      },
    );

    test('a name that may be in another encoding is known to Postgres alone, which is woken', async () => {
      const said = async (user: string): Promise<string | undefined> => {
        const raw = new RawClient(rig.port);
        const all = await raw.logIn(3 << 16, { user, database: 'ann' }, 'secret', 'latin1');
        raw.socket.destroy();
        return all.at(-1)?.type;
      };
      await rig.asleep();
      expect([await said('j\xF6rg'), rig.front.isDemanded]).toEqual(['E', false]);
      rig.front.reopen();
      await rig.admin("create database ascii encoding 'SQL_ASCII' locale 'C' template template0");
      await rig.admin(
        `do $$ begin execute format('create role %I login password %L',
          convert_from('\\x6af67267', 'SQL_ASCII'), 'secret'); end $$`,
        'ascii',
      );
      await rig.asleep();
      const waiting = said('j\xF6rg');
      await rig.front.demanded(AbortSignal.timeout(10_000));
      rig.front.open();
      expect(await waiting).toBe('Z');
    });
  },
);
