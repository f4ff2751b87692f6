import { expect, test } from 'vitest';
import { option, ownSession, pinnedSettings } from '../../../src/pg/session-settings.ts';

const target = { host: 'h', port: 1, user: 'u', password: null, database: 'd', options: '' };
/** Names and values in the order in which the server takes them; of one that comes twice, the last counts. */
const settings = (options: string): Map<string, string> =>
  new Map(
    options
      .split(/(?<!\\)\s+/)
      .filter((word) => word !== '-c')
      .map((word) => word.replaceAll(/\\(.)/gs, '$1'))
      .map((word): [string, string] => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );

test('options of the connection string change no setting that the safety of our queries needs', () => {
  const evil = {
    ...target,
    major: 18,
    options: '-c search_path=evil -c event_triggers=on -c TimeZone=Asia/Tokyo',
  };
  const found = settings(ownSession(evil, { statement_timeout: 5 }).options);
  expect(found.get('search_path')).toBe('pg_catalog,pg_temp');
  expect(found.get('event_triggers')).toBe('off');
  expect(found.get('TimeZone')).toBe('Asia/Tokyo');
  expect(found.get('statement_timeout')).toBe('5');
});

test('a setting that a major does not have is left out for it, and where the major is unknown', () => {
  const names = (major?: number): string[] => [
    ...settings(ownSession(major === undefined ? target : { ...target, major }).options).keys(),
  ];
  for (const major of [14, 15, 16, undefined]) {
    expect(names(major)).toContain('session_replication_role');
    expect(names(major)).not.toContain('event_triggers');
    expect(names(major)).not.toContain('transaction_timeout');
  }
  for (const major of [17, 18]) {
    expect(names(major)).toEqual(expect.arrayContaining(['event_triggers', 'transaction_timeout']));
    expect(names(major)).not.toContain('session_replication_role');
  }
});

test('every value arrives as it is, and all of them fit into a start-up packet', () => {
  const found = settings(ownSession({ ...target, major: 18 }).options);
  for (const { name, value } of pinnedSettings.filter(({ until = Infinity }) => until >= 18))
    expect(found.get(name)).toBe(value);
  expect(settings(option('a', 'b \\c\td')).get('a')).toBe('b \\c\td');
  expect(ownSession({ ...target, major: 18 }).options.length).toBeLessThan(5000);
});
