import { expect, test } from 'vitest';
import { unfitFor, withSettings, withoutSettings } from '../../../../src/services/pgbouncer/ini.ts';

const image = `;; of the image
[databases]
pool_mode = not_this_one

[pgbouncer]
; keep me
pool_mode=session
pool_mode = transaction
  max_client_conn   =   100
#default_pool_size = 3

[users]
pool_mode = nor_this_one`;

const apply = (text: string, settings: Record<string, string>): string =>
  withSettings(text, new Map(Object.entries(settings)));

test('only the touched lines are different, and they come back', () => {
  const text = apply(image, { pool_mode: 'statement', default_pool_size: '64' });
  expect(text).toBe(`;; of the image
[databases]
pool_mode = not_this_one

[pgbouncer]
; keep me
pool_mode=session
; compute_ctl replaced: pool_mode = transaction
pool_mode = statement
  max_client_conn   =   100
#default_pool_size = 3
; compute_ctl added: default_pool_size
default_pool_size = 64

[users]
pool_mode = nor_this_one`);
  expect(withoutSettings(text)).toBe(image);
});

test('the next settings replace the last ones', () => {
  const first = apply(image, { pool_mode: 'statement', default_pool_size: '64' });
  expect(apply(first, { max_client_conn: '7' })).toBe(apply(image, { max_client_conn: '7' }));
  expect(apply(first, { pool_mode: 'statement', default_pool_size: '64' })).toBe(first);
});

test.each([
  ['[pgbouncer]', '[pgbouncer]\n; compute_ctl added: a\na = 1\n'],
  ['[pgbouncer]\n', '[pgbouncer]\n; compute_ctl added: a\na = 1\n'],
  ['[pgbouncer]\r\na = 0\r\n', '[pgbouncer]\r\n; compute_ctl replaced: a = 0\r\na = 1\r\n'],
  [' [ pgbouncer ] \n\n[x]\n', ' [ pgbouncer ] \n; compute_ctl added: a\na = 1\n\n[x]\n'],
])('%j', (before, after) => expect(apply(before, { a: '1' })).toBe(after));

test('a line that somebody else has changed since then stays, and a removed one does not come back', () => {
  const text = apply(image, { pool_mode: 'statement', default_pool_size: '64' });
  expect(withoutSettings(text.replace('pool_mode = statement\n', ''))).not.toContain('compute_ctl');
  const changed = text.replace('default_pool_size = 64', 'reserve_pool_size = 1');
  expect(withoutSettings(changed)).toContain('reserve_pool_size = 1');
});

test.each(['', '[databases]\n', '[pgbouncerx]\n', '; [pgbouncer]\n'])('%j has no section for it', (text) => {
  expect(() => apply(text, {})).toThrow('it does not have a section [pgbouncer]');
});

test.each([
  ['pool_mode', 'a\n[users]'],
  ['pool_mode', 'a\rb'],
  ['pool_mode', 'a\0b'],
  ['pool_mode', 'x'.repeat(9000)],
  ['a = 1\nb', '1'],
  ['[users]', '1'],
  ['%include /etc/passwd', ''],
  ['', '1'],
  [';x', '1'],
])('%j cannot be set to %j', (key, value) => expect(unfitFor(key, value)).not.toBeNull());

test.each([
  ['pool_mode', String.raw`a\b ; [x] = %include 'ü`],
  ['server_reset_query', ''],
])('%j can be set to %j', (key, value) => expect(unfitFor(key, value)).toBeNull());
