import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { scratchDir } from '../../support/scratch.ts';
import { expect, test } from 'vitest';
import { ComputeError, errorText, inline } from '../../../src/core/errors.ts';

function failing(work: () => unknown): unknown {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
}

const failed = (socket: ReturnType<typeof connect>): Promise<unknown> =>
  new Promise((resolve) => socket.once('error', resolve));

test('a file that is not there is named in words, and only once', () => {
  const cause = failing(() => readFileSync('/no/such/file'));
  expect(inline(cause)).toBe('no such file or directory (ENOENT): /no/such/file');
  expect(inline(new Error('could not read config file /no/such/file', { cause }))).toBe(
    'could not read config file /no/such/file: no such file or directory (ENOENT)',
  );
});

test('a directory in place of a file is called one', () =>
  expect(inline(failing(() => readFileSync(scratchDir('words'))))).toContain('it is a directory (EISDIR)'));

test('a descriptor of this process is not shown', () =>
  expect(inline(failing(() => readFileSync('/proc/self/fd/0/x')))).not.toContain('/proc/'));

test('a refused connection and an unknown host are told in words', async () => {
  expect(inline(await failed(connect(1, '127.0.0.1')))).toBe(
    'connection refused (ECONNREFUSED): 127.0.0.1:1',
  );
  const unknown = await failed(connect(1, 'no-such-host.invalid'));
  expect(inline(unknown)).toMatch(
    /^(?:the name is not known|the name server does not answer) \(E\w+\): no-such/,
  );
});

test('a port in use is told in words', async () => {
  const first = createServer();
  await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
  const second = createServer();
  const error = new Promise((resolve) => second.once('error', resolve));
  second.listen(first.address());
  expect(inline(await error)).toBe('address already in use (EADDRINUSE)');
  first.close();
});

test('an error that says more than the system keeps its words', () => {
  const more = Object.assign(new Error('no room: ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
  expect(inline(more)).toBe('no room: ENOSPC');
});

test('an error without a hint says what the runbook says about its code', () => {
  expect(errorText(new ComputeError('busy', 'a dump is running'))).toBe(
    'Error: a dump is running\nHint: Wait until the running request has ended, then try again.\nCode: busy',
  );
});

test('several problems are a list below what they are about', () => {
  const cause = new ComputeError('spec_shape', 'spec.a: missing\nspec.b: missing', { hint: 'correct them' });
  expect(errorText(new ComputeError('spec_shape', 'config.json cannot be used', { cause }))).toBe(
    'Error: config.json cannot be used:\n    spec.a: missing\n    spec.b: missing\nHint: correct them\nCode: spec_shape',
  );
});
