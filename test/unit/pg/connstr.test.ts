import { userInfo } from 'node:os';
import { assert, integer, property, record, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConnstr, parseLibpqUrl } from '../../../src/pg/connstr.ts';
import { ComputeError, inline } from '../../../src/core/errors.ts';

function failure(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ComputeError && error.code === 'connstr') return inline(error);
    throw error;
  }
  throw new Error('it was accepted');
}

const own = (role: string): string =>
  `-c role=${role} -c default_transaction_read_only=off -c search_path= -c statement_timeout=0 -c pgaudit.log=none`;

describe('the way to the own Postgres', () => {
  test('is a URL with the usual defaults', () => {
    expect(parseConnstr('postgresql://cloud_admin@localhost:5433/postgres')).toEqual({
      host: 'localhost',
      port: 5433,
      user: 'cloud_admin',
      password: null,
      database: 'postgres',
      options: own('cloud_admin'),
    });
    expect(parseConnstr('postgres://localhost')).toMatchObject({
      port: 5432,
      user: 'cloud_admin',
      database: 'cloud_admin',
    });
    expect(parseConnstr('postgres://someone@localhost')).toMatchObject({
      database: 'someone',
      options: own('someone'),
    });
  });

  test.each<[string, object]>([
    ['postgresql://u@%2Fvar%2Frun%2Fpg/d', { host: '/var/run/pg' }],
    ['postgresql:///d?host=/tmp&user=u&port=6000', { host: '/tmp', user: 'u', port: 6000, database: 'd' }],
    ['postgresql://u@[::1]:7/d', { host: '::1', port: 7 }],
    ['postgresql://a%40b:p%2Fw@h/d%23x%2Fy', { user: 'a@b', database: 'd#x/y' }],
    ['postgresql://u@h/d?sslmode=disable&application_name=x&connect_timeout=5', { host: 'h' }],
    ['postgresql://u@h:1?hostaddr=10.0.0.1', { host: '10.0.0.1' }],
  ])('understands %s', (text, target) => {
    expect(parseConnstr(text)).toMatchObject(target);
  });

  test('keeps the password secret, and a plus sign a plus sign', () => {
    const target = parseConnstr('postgresql://u:a+b%20c@h/d?options=-c%20x=1+2');
    expect(target.password?.reveal()).toBe('a+b c');
    expect(JSON.stringify(target)).not.toContain('a+b c');
    expect(target.options).toBe(`${own('u')} -c x=1+2`);
  });

  test('escapes a user with blanks in the start-up options', () => {
    expect(parseConnstr(String.raw`postgresql://a%20b%5Cc@h`).options).toContain(
      String.raw`-c role=a\ b\\c -c`,
    );
  });

  test.each<[string, string]>([
    ['host=localhost dbname=postgres', 'cannot parse connstr as a URL: it does not start with'],
    ['POSTGRESQL://h/d', 'cannot parse connstr as a URL'],
    ['http://h/d', 'cannot parse connstr as a URL'],
    ['', 'cannot parse connstr as a URL'],
    ['postgresql://u@/db?host=/tmp', 'cannot parse connstr as a URL: not a valid URL'],
    ['postgresql://h:99999/d', 'cannot parse connstr as a URL: not a valid URL'],
    ['postgresql://h:0/d', 'port: expected integer from 1 to 65535, found "0"'],
    ['postgresql://u@h/%zz', 'cannot parse connstr as a URL: dbname has a wrong percent encoding'],
    ['postgresql://u@h/a%00b', 'dbname has a wrong percent encoding'],
    ['postgresql://u@h/d?foo=1', 'cannot build postgres config from connstr: unknown parameter "foo"'],
    ['postgresql://u@h/d?sslmode=yes', 'sslmode: expected one of disable, allow, prefer, require'],
    ['postgresql:///d', 'cannot build postgres config from connstr: no host'],
    ['postgresql://a,b/d', 'several hosts (a,b); only one can be used'],
  ])('refuses %j', (text, message) => {
    expect(failure(() => parseConnstr(text))).toContain(message);
  });

  test.each(['postgresql://u:hush@/d', 'postgresql://u:hush@h/d?x=1', 'user=u password=hush'])(
    'never shows the password of %s',
    (text) => {
      expect(failure(() => parseConnstr(text))).not.toContain('hush');
    },
  );

  test.each([
    ['postgresql://u@h/.', '.'],
    ['postgresql://u@h/%2e%2E?sslmode=disable', '..'],
    ['postgresql://u@h/a/../b', 'a/../b'],
    ['postgresql://u@h/d \n', 'd'],
    ['postgresql://u@h/', 'u'],
    ['postgresql://u@h?sslmode=disable', 'u'],
    ['postgresql://u@h?application_name=a/b', 'u'],
  ])('%j connects to the database that it names, not to one of a path', (text, database) => {
    expect(parseConnstr(text).database).toBe(database);
  });

  test('gives back every part that was percent-encoded into it', () => {
    const text = string({ minLength: 1, unit: 'grapheme' }).filter((value) => !value.includes('\0'));
    const parts = record({
      user: text,
      password: text,
      database: text,
      port: integer({ min: 1, max: 65_535 }),
    });
    assert(
      property(parts, ({ user, password, database, port }) => {
        const [u, p, d] = [user, password, database].map(encode);
        const target = parseConnstr(`postgresql://${u}:${p}@h:${port}/${d}`);
        expect({ ...target, password: target.password?.reveal() }).toMatchObject({
          user,
          password,
          database,
          port,
        });
      }),
    );
  });

  test('of any text is a target or a ComputeError', () => {
    assert(
      property(string({ unit: 'grapheme' }), (text) => {
        expect(failure(() => parseConnstr(`postgres://${text}?x`))).not.toBe('');
      }),
    );
  });
});

/** Also what a URL would resolve as steps of a path. */
const encode = (text: string): string =>
  Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

describe('a connection string of libpq', () => {
  test.each<[string, object]>([
    [
      'postgresql://no_user@ps:6400',
      { host: 'ps', port: 6400, user: 'no_user', database: 'no_user', options: '' },
    ],
    ['host=ps port=6400', { host: 'ps', port: 6400, user: userInfo().username }],
    [String.raw`host = 'a b' user='it\'s' dbname=c\ d`, { host: 'a b', user: "it's", database: 'c d' }],
    ["host=h user=o'hara password=''", { user: "o'hara", password: null }],
    ['host=h connect_timeout=3', { connectTimeoutMs: 3000 }],
    ['host=h connect_timeout=0', { connectTimeoutMs: null }],
    ['host=h application_name=me', { applicationName: 'me' }],
  ])('is read: %s', (text, target) => {
    expect(parseLibpqUrl(text)).toMatchObject(target);
  });

  test.each<[string, string]>([
    ['ps:6400', 'neither a postgresql:// URL nor key=value pairs (column 1)'],
    ['', 'no host'],
    ['grpc://ps', 'neither a postgresql:// URL'],
    ["host='ps", 'column 1'],
    ["host='ps'x", 'column 1'],
    ['host=ps foo=1', 'unknown parameter "foo"'],
    ['host=ps port', 'column 9'],
    ['host=a,b', 'several hosts'],
    ['host=ps sslmode=no-verify', 'found "no-verify"'],
    ['host=ps sslmode=require sslrootcert=system', 'sslrootcert=system needs sslmode=verify-full'],
    ['host=ps sslcert=/a sslmode=require', 'unknown parameter "sslcert"'],
    ['host=ps connect_timeout=soon', 'connect_timeout: expected integer'],
  ])('is refused: %j', (text, message) => {
    expect(failure(() => parseLibpqUrl(text))).toContain(message);
  });

  test.each<[string, object | undefined]>([
    ['host=h', undefined],
    ['host=h sslmode=prefer sslrootcert=/ca', undefined],
    ['host=/tmp sslmode=require', undefined],
    ['host=h sslmode=require', { mode: 'require', serverName: 'h', rootCert: null }],
    ['host=h sslmode=require sslrootcert=/ca', { mode: 'verify-ca', serverName: 'h', rootCert: '/ca' }],
    [
      'host=h hostaddr=10.0.0.1 sslmode=verify-full',
      { mode: 'verify-full', serverName: 'h', rootCert: null },
    ],
    ['hostaddr=10.0.0.1 sslrootcert=system', { mode: 'verify-full', serverName: '10.0.0.1', rootCert: null }],
  ])('is encrypted as libpq would, but never by chance: %s', (text, tls) => {
    expect(parseLibpqUrl(text).tls).toEqual(tls);
  });

  test('gives back every value that was quoted into it', () => {
    assert(
      property(string({ minLength: 1, unit: 'grapheme' }), (value) => {
        const quoted = value.replaceAll(/['\\]/g, String.raw`\$&`);
        expect(parseLibpqUrl(`host=h user='${quoted}'`).user).toBe(value);
      }),
    );
  });
});
