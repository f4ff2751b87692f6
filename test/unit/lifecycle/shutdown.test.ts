import { expect, test } from 'vitest';
import { type Lsn, parseLsn } from '../../../src/core/lsn.ts';
import { isMissing } from '../../../src/lifecycle/shutdown.ts';

const lsn = (text: string): Lsn => parseLsn(text) as Lsn;

test.each([
  ['0/2000028', '0/2000028', false],
  ['0/2000098', '0/2000028', false],
  ['0/2000027', '0/2000028', true],
  ['0/1FFFFF8', '0/2000028', true],
  // Between the pages there is only the header: of 24 bytes, and of 40 at the begin of a segment.
  ['0/2002000', '0/2002018', false],
  ['0/2000000', '0/2000028', false],
  ['0/2002000', '0/2002030', true],
  ['0/2002008', '0/2002018', true],
  ['1/0', '2/0', true],
])('with WAL until %s, and a checkpoint at %s, records are missing: %s', (flushed, end, expected) => {
  expect(isMissing(lsn(flushed), lsn(end))).toBe(expected);
});
