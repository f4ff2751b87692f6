import { assert, property, record, string } from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { parseLibpqUrl } from '../../../src/pg/libpq.ts';
import { formatConninfo, formatUrl, libpqEnvironment, withoutLibpq } from '../../../src/pg/libpq-write.ts';

/** Of any text, but for the dots that a URL takes for steps of a path. */
const text = string({ minLength: 1, unit: 'grapheme' }).filter(
  (value) => !value.includes('\0') && value !== '.' && value !== '..',
);

test('what is written as a connection string is read back the same', () => {
  assert(
    property(record({ user: text, password: text, database: text }), ({ user, password, database }) => {
      const at = { host: '/a dir/x', port: 6000 };
      const pairs = formatConninfo({ host: at.host, port: at.port, user, password, dbname: database });
      for (const written of [pairs, formatUrl({ ...at, user, password, database })]) {
        const read = parseLibpqUrl(written);
        expect({ ...read, password: read.password?.reveal() }).toMatchObject({
          ...at,
          user,
          password,
          database,
        });
      }
    }),
  );
});

test('only what needs quotes gets them, an empty value too', () => {
  expect(formatConninfo({ host: '/run/pg', port: 5432, options: '-c a=1', password: '' })).toBe(
    "host=/run/pg port=5432 options='-c a=1' password=''",
  );
  expect(formatConninfo({ user: String.raw`o'ha\ra` })).toBe(String.raw`user='o\'ha\\ra'`);
  expect(formatUrl({ user: 'u', host: '::1', port: 1 })).toBe('postgresql://u@[::1]:1');
});

test("programs of libpq are led by our target alone, not by the user's variables", () => {
  const target = {
    host: '10.0.0.1',
    port: 1,
    user: 'u',
    password: new Secret('p'),
    database: 'd',
    options: '-c a=1',
  };
  const env = { PGHOST: 'wrong', PGSERVICE: 'wrong', PATH: '/bin' };
  expect({ ...withoutLibpq(env), ...libpqEnvironment(target, 'other') }).toEqual({
    PATH: '/bin',
    PGDATABASE: 'other',
    PGOPTIONS: '-c a=1',
    PGPASSWORD: 'p',
    PGSSLMODE: 'disable',
  });
  const tls = { mode: 'verify-full', serverName: 'pg.example', rootCert: null } as const;
  expect(libpqEnvironment({ ...target, tls, password: null }, 'd')).toEqual({
    PGDATABASE: 'd',
    PGOPTIONS: '-c a=1',
    PGSSLMODE: 'verify-full',
    PGHOSTADDR: '10.0.0.1',
    PGSSLROOTCERT: 'system',
  });
});
