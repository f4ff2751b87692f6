import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ComputeError, errorText, explained } from '../../../src/core/errors.ts';
import { explain } from '../../../src/core/failure.ts';

const failing = (work: () => unknown): unknown => {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
};

test('a bare error of the operating system has a hint and a code of its own', () => {
  const denied = Object.assign(new Error('EACCES: permission denied, open'), {
    code: 'EACCES',
    syscall: 'open',
  });
  expect(explained(denied)).toMatch(/^permission denied \(EACCES\) \(HINT: .*permission/);
  expect(explain(denied)).toMatchObject({
    code: 'system',
    hint: expect.stringContaining('permission') as string,
  });
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
  expect(errorText(new Error('cannot write postgresql.conf', { cause: full }))).toContain(
    'Hint: the file system is full',
  );
});

test('a hint of our own is better than that of the operating system', () => {
  const denied = Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'open' });
  const error = new ComputeError('config_unreadable', 'could not read it', {
    cause: denied,
    hint: 'chmod a+r x',
  });
  expect(errorText(error)).toBe(
    'Error: could not read it: EACCES\nHint: chmod a+r x\nCode: config_unreadable',
  );
});

test('a missing file, a refused connection and an error of PostgreSQL get no hint of the operating system', () => {
  expect(explained(failing(() => readdirSync('/no/such/directory')))).not.toContain('HINT');
  const refused = Object.assign(new Error('connect EACCES'), { code: 'EACCES', syscall: 'connect' });
  expect(explained(refused)).toBe('connect EACCES');
  expect(explain(Object.assign(new Error('x'), { code: '42704' }))).toMatchObject({ code: 'internal' });
});
