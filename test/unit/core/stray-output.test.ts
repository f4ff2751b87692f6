import { afterEach, expect, test } from 'vitest';
import { createLog } from '../../../src/core/log.ts';
import { logStrayOutput } from '../../../src/core/stray-output.ts';
import { eventually } from '../../support/program.ts';

const before = { ...console };
const listeners = process.listeners('warning');

afterEach(() => {
  Object.assign(console, before);
  process.removeAllListeners('warning');
  for (const listener of listeners) process.on('warning', listener);
});

test('what Node and packages print by themselves becomes log lines', async () => {
  const lines: string[] = [];
  logStrayOutput(createLog({ format: 'json', level: 'info' }, (line) => lines.push(line)));
  const { console: stray } = globalThis;
  stray.error('an %s\nof two lines', 'error');
  stray.log({ of: 'a package' });
  stray.debug('below the level');
  process.emitWarning('of Node', { code: 'X1', type: 'SomeWarning' });
  await eventually('the warning', () => lines.length > 2 || undefined);
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ level: 'error', msg: 'an error\nof two lines' }),
    expect.objectContaining({ level: 'info', msg: "{ of: 'a package' }" }),
    expect.objectContaining({ level: 'warn', warning: 'SomeWarning', code: 'X1', msg: 'of Node' }),
  ]);
});
