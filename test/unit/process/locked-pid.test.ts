import { expect, test } from 'vitest';
import { hasFlock } from '../../../src/process/locked-pid.ts';

const locks = `1: POSIX  ADVISORY  WRITE 77 fe:00:5 0 EOF
2: FLOCK  ADVISORY  WRITE 4050 fe:00:4096010 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4051 fe:00:4096010 0 EOF
3: FLOCK  ADVISORY  WRITE -1 fe:00:9 0 EOF
`;

test.each([
  [4050, 4096010n, true],
  [4051, 4096010n, false],
  [4050, 6010n, false],
  [77, 5n, false],
  [1, 9n, false],
])('process %i holds a lock on file %i: %s', (pid, inode, holds) => {
  expect(hasFlock(locks, pid, inode)).toBe(holds);
});
