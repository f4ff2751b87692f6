import { describe, expect, test } from 'vitest';
import { commandLines } from '../../../src/config/options/programs.ts';
import { type Kind, kinds, readValue } from '../../../src/config/values.ts';

test('the command lines are those of three programs', () => {
  expect(commandLines.map(([words]) => words)).toEqual([
    'compute_ctl',
    'compute_ctl check',
    'compute_ctl plan',
    'compute_ctl completion',
    'compute_ctl man',
    'compute-local up',
    'compute-local status',
    'compute-local watch',
    'compute-local stop',
    'compute-local create',
    'compute-local branch',
    'compute-local list',
    'compute-local start',
    'compute-local delete',
    'compute-local rename',
    'compute-local diff',
    'compute-local logs',
    'compute-local promote',
    'compute-local reset',
    'compute-local dashboard',
    'compute-local init',
    'compute-local plan',
    'compute-local apply',
    'compute-local password',
    'compute-local config',
    'compute-local url',
    'compute-local token',
    'compute-local psql',
    'compute-local completion',
    'compute-local man',
    'compute-local next',
    'compute-local storage',
    'vm-monitor',
  ]);
});

describe.each(commandLines)('%s', (_, { options, listed = [] }) => {
  const entries = Object.values(options);

  test('no two options share a flag, a letter or a variable', () => {
    const names = entries.flatMap(({ flag, short, env }) => [flag, short, env]).filter(Boolean);
    expect(new Set(names).size).toBe(names.length);
  });

  test('what is listed, and what excludes each other, are options of the same table', () => {
    for (const name of [...listed, ...entries.flatMap(({ conflicts = [] }) => conflicts)])
      expect(Object.keys(options)).toContain(name);
  });

  test('every option that takes a value names it, and every default is a value that it would take', () => {
    for (const { flag, kind, value } of entries)
      expect([flag, value === undefined]).toEqual([flag, kind === 'flag']);
    for (const { flag, kind, fallback } of entries.filter((entry) => entry.fallback !== null)) {
      const read = kind === 'flag' ? false : readValue(kind, String(fallback));
      expect([flag, read]).toEqual([flag, fallback]);
    }
  });
});

const accepted: [Kind, string, unknown][] = [
  ['duration', '5min', 300],
  ['duration', '500ms', 0.5],
  ['duration', '2 h', 7200],
  ['duration', '0', 0],
  ['lifetime', '2 h', 7200],
  ['lifetime', '90', 90],
  ['size', '256MB', 268_435_456],
  ['size', '1 gb', 1_073_741_824],
  ['size', '8388608', 8_388_608],
  ['sizeOrZero', '0', 0],
  ['sizeOrZero', '1MB', 1_048_576],
  ['listenPort', '1', 1],
  ['portOrNone', 'none', 0],
  ['portOrNone', '0', 0],
  ['portOrNone', '65535', 65_535],
  ['listenPort', '65535', 65_535],
  ['nodeName', 'a', 'a'],
  ['nodeName', `0${'_'.repeat(30)}`, `0${'_'.repeat(30)}`],
];

test.each(accepted)('a value of the kind %s: %s', (kind, text, value) => {
  expect(kinds[kind](text)).toBe(value);
});

const refused: [Kind, string[], string][] = [
  ['duration', ['', '-1s', '1.5s', '5 years', 's', '5 m 3 s'], 'Expected a time'],
  // It would be deleted at once.
  ['lifetime', ['0', '0s', '-1s', '', '2 hours ago'], 'Expected a time above 0'],
  ['sizeOrZero', ['-1', '', 'MB'], 'Expected a size such as 256MB, or 0'],
  ['size', ['1MB', '-5MB', '', 'MB', '5 TB', '9007199254740992'], 'Expected a size of 4MB or more'],
  ['portOrNone', ['65536', '', 'no', '-1'], 'Expected a port from 1 to 65535, or none'],
  ['listenPort', ['0', '65536', '', 'x', '1.5'], 'Expected a port from 1 to 65535'],
  ['nodeName', ['', '-a', 'A', 'a b', 'x'.repeat(32)], 'Expected up to 31'],
];

test.each(refused)('no value of the kind %s: %j', (kind, texts, message) => {
  for (const text of texts) expect(() => kinds[kind](text)).toThrow(message);
});
