import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBasebackup } from '../../../../src/local/storage/pageserver.ts';
import { WireError } from '../../../../src/wire/server.ts';

const ids = `${'a1'.repeat(16)} ${'b2'.repeat(16)}`;

test.each([
  ['', { lsn: 0n, gzip: false, replica: false }],
  [' --gzip', { lsn: 0n, gzip: true, replica: false }],
  [' latest --gzip', { lsn: 0n, gzip: true, replica: false }],
  [' 0/169B1D8 --gzip', { lsn: 0x169b1d8n, gzip: true, replica: false }],
  [' 1/0 --replica --gzip', { lsn: 0x1_0000_0000n, gzip: true, replica: true }],
])('reads the arguments%j', (args, expected) => {
  expect(parseBasebackup(`basebackup ${ids}${args}`)).toMatchObject(expected);
});

test('the command word may be in any case and the statement may end in a semicolon', () => {
  expect(parseBasebackup(`BaseBackup  ${ids} --gzip;`)).toMatchObject({
    timelineId: 'b2'.repeat(16),
    gzip: true,
  });
});

test.each([
  ['basebackup', 'cannot parse query: basebackup'],
  [`basebackup ${'a1'.repeat(16)}`, 'invalid number of params for basebackup command'],
  [`fullbackup ${ids}`, 'the storage of compute-local does not have the command fullbackup'],
  [`basebackup ${ids} 0/G`, 'invalid LSN in basebackup command: 0/G'],
  [`basebackup ${ids} --zstd`, 'invalid parameter for basebackup command: --zstd'],
  [`basebackup ${ids} --gzip --gzip`, 'duplicate parameter for basebackup command: --gzip'],
])('refuses %j', (text, message) => {
  expect(() => parseBasebackup(text)).toThrow(new WireError('XX000', message));
});

test('whatever a client sends is read or refused with an error for it', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `basebackup ${text}`),
      ),
      (text) => {
        let outcome: unknown;
        try {
          outcome = parseBasebackup(text);
        } catch (error) {
          outcome = error;
        }
        const read = typeof outcome === 'object' && outcome !== null && 'lsn' in outcome;
        expect(read || outcome instanceof WireError).toBe(true);
      },
    ),
  );
});
