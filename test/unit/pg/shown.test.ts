import { expect, test } from 'vitest';
import { shownConnstr } from '../../../src/pg/shown.ts';

test.each([
  ['postgresql://u:pw@h:6400/d?sslmode=require', 'user=u host=h port=6400 dbname=d sslmode=require'],
  ['postgres://h', 'host=h'],
  ["host=h port=6400 password='it''s' user=u", 'not a connection string'],
  [String.raw`host=h password='it\'s' user=u`, 'user=u host=h'],
  ['host=h pasword=misspelt', 'host=h'],
  ['postgresql://u:pw@[::1]:6400', 'user=u host=::1 port=6400'],
  ['postgresql://u:pw@h:port', 'not a connection string'],
  ['nonsense', 'not a connection string'],
])('%j is shown as %j', (text, shown) => {
  expect(shownConnstr(text)).toBe(shown);
});
