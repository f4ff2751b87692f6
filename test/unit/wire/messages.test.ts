import * as fc from 'fast-check';
import {
  type BackendMessage,
  type DataRowMessage,
  DatabaseError,
  type RowDescriptionMessage,
} from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { expect, test } from 'vitest';
import {
  ProtocolError,
  dataRow,
  errorResponse,
  readCString,
  rowDescription,
} from '../../../src/wire/messages.ts';

/** What the driver makes of bytes of ours. */
function read(bytes: Buffer): BackendMessage[] {
  const found: BackendMessage[] = [];
  new Parser().parse(bytes, (one) => found.push(one));
  return found;
}

const text = fc.string({ unit: 'binary', maxLength: 30 }).filter((one) => !one.includes('\0'));

test('the driver reads the columns and values that were sent, whatever they hold', () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.option(text)), { maxLength: 20 }), (pairs) => {
      const [columns, values] = [pairs.map(([name]) => name), pairs.map(([, value]) => value)];
      const [described, row] = read(Buffer.concat([rowDescription(columns), dataRow(values)]));
      expect((described as RowDescriptionMessage).fields.map(({ name }) => name)).toEqual(columns);
      expect((row as DataRowMessage).fields).toEqual(values);
    }),
  ));

test('the driver reads the error that was sent; a NUL inside does not cut it', () => {
  const [error] = read(errorResponse('57P03', 'starting\0 up'));
  expect(error).toBeInstanceOf(DatabaseError);
  expect(error).toMatchObject({ severity: 'ERROR', code: '57P03', message: 'starting up' });
});

test.each([
  ['nothing at all', '', 0],
  ['no NUL', 'abc', 0],
  ['a beginning behind the end', 'a\0', 3],
])('a text with %s is refused', (_, bytes, at) => {
  expect(() => readCString(Buffer.from(bytes), at)).toThrow(ProtocolError);
});

test('an empty text is read, and so is one that begins where the last ended', () => {
  const bytes = Buffer.from('a\0\0b\0');
  expect(readCString(bytes, 0)).toEqual(['a', 2]);
  expect(readCString(bytes, 2)).toEqual(['', 3]);
  expect(readCString(bytes, 3)).toEqual(['b', 5]);
});
