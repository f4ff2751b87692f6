import { expect, test } from 'vitest';
import { overallOf } from '../../../../src/local/dashboard/page/overall.ts';

test('a page whose session had ended said that nothing runs: it does not know', () => {
  expect(overallOf('closed', false, 'running')).toBe('not known');
  expect(overallOf('ended', true, 'running')).toBe('not running');
  expect(overallOf('live', true, 'running')).toBe('not known');
  expect(overallOf('lost', false, 'no_answer')).toBe('no answer');
});
