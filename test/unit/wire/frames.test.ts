import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader } from '../../../src/wire/frames.ts';
import { ProtocolError, cstring, message, readStartup, startupOptions } from '../../../src/wire/messages.ts';

const query = (text: string): Buffer => message('Q', cstring(text));

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

test('messages come out whole however the stream is cut', () => {
  const texts = fc.array(fc.string({ maxLength: 40 }).map((text) => text.replaceAll('\0', '')));
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(texts, sizes, (texts, sizes) => {
      const reader = new FrameReader(1000);
      const seen: string[] = [];
      for (const chunk of cut(Buffer.concat(texts.map(query)), sizes)) {
        reader.push(chunk);
        for (let frame = reader.next(false); frame !== null; frame = reader.next(false)) {
          seen.push(frame.body.toString('utf8', 0, frame.body.length - 1));
        }
      }
      expect(seen).toEqual(texts);
      expect(reader.held).toBe(0);
    }),
  );
});

/** What the reader makes of bytes that come one by one: null when it still waits. */
function outcome(bytes: Uint8Array, untyped: boolean): unknown {
  const reader = new FrameReader(1000);
  try {
    for (const byte of bytes) {
      reader.push(Buffer.from([byte]));
      reader.next(untyped);
    }
    return null;
  } catch (error) {
    return error;
  }
}

test('garbage is refused or waited for, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, untyped) => {
      expect(outcome(bytes, untyped) ?? new ProtocolError('')).toBeInstanceOf(ProtocolError);
    }),
  );
});

test('a message above the limit is refused by its length, before its bytes arrive', () => {
  const reader = new FrameReader(1000);
  reader.push(Buffer.from([0x51, 0, 0, 0x10, 0]));
  expect(() => reader.next(false)).toThrow('message of 4096 bytes');
});

test('an unknown type is refused by its first byte', () => {
  const reader = new FrameReader(1000);
  reader.push(Buffer.from('G'));
  expect(() => reader.next(false)).toThrow('message type 0x47');
});

test('a start-up packet without an end is refused', () => {
  expect(() => readStartup(Buffer.from('\0\x03\0\0user\0me'))).toThrow(ProtocolError);
  expect(readStartup(Buffer.from('\0\x03\0\0user\0me\0\0')).get('user')).toBe('me');
});

test.each([
  ['-c timeline_id=a tenant_id=b', { timeline_id: 'a', tenant_id: 'b' }],
  ['x=1\\ 2  y=', { x: '1 2', y: '' }],
  ['', {}],
  ['=x -- protocol', {}],
])('start-up options %j hold their key=value words', (text, expected) => {
  expect(Object.fromEntries(startupOptions(text))).toEqual(expected);
});
