import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nameFault } from '../../../src/core/sql.ts';
import { isRaw, nameBytes, readName, startupWith } from '../../../src/pg/raw-name.ts';

const utf8 = fc.string({ unit: 'grapheme-composite' });

test('every name is read and written back byte by byte, and one in UTF-8 is its text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ min: 1 }), (bytes) => {
      const name = readName(Buffer.from(bytes));
      expect([...nameBytes(name)]).toEqual([...bytes]);
      expect(isRaw(name)).toBe(!Buffer.from(Buffer.from(bytes).toString()).equals(Buffer.from(bytes)));
    }),
  );
  fc.assert(
    fc.property(utf8, (name) => {
      expect(readName(Buffer.from(name))).toBe(name);
    }),
  );
});

test('a name that is not UTF-8 is refused where SQL is built', () => {
  expect(nameFault(readName(Buffer.from('größe', 'latin1')))).not.toBeNull();
});

test('the first message of a connection keeps all but the name of the database', () => {
  const message = (database: Buffer): Buffer => {
    const body = Buffer.concat([
      Buffer.from('user\0database\0database\0'),
      database,
      Buffer.from('\0options\0-c a=b\0\0'),
    ]);
    const head = Buffer.alloc(8);
    head.writeInt32BE(8 + body.length, 0);
    head.writeInt32BE(196_608, 4);
    return Buffer.concat([head, body]);
  };
  const name = Buffer.from([0xf6, 0xdf]);
  expect(startupWith(message(Buffer.from('???')), name)).toEqual(message(name));
});
