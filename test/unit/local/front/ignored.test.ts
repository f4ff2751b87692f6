import { expect, test } from 'vitest';
import { ignoring } from '../../../../src/local/front/ignored.ts';

test.each([
  ['', 'ann', 'psql', false],
  ['ann', 'ann', '', true],
  ['psql', 'ann', 'psql', true],
  ['role:psql', 'ann', 'psql', false],
  ['app:psql', 'ann', 'psql', true],
  ['role:ann', 'ann', '', true],
  ['app:ann', 'ann', '', false],
  ['other, app:mon*', 'ann', 'monitor 2', true],
  ['mon', 'ann', 'monitor', false],
  [' , ', '', '', false],
])('--suspend-ignore %j, role %j, application %j: %j', (list, role, application, ignored) => {
  expect(ignoring(list)({ role, application })).toBe(ignored);
});
