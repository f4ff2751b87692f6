import { expect, test } from 'vitest';
import { inject } from '../../../scripts/executable/elf.mjs';

/** The head of an ELF file, as far as it is read. */
function head(change: (file: Buffer) => void = () => {}): Buffer {
  const file = Buffer.alloc(4096);
  file.write('\x7fELF\x02\x01', 'latin1');
  file.writeUInt16LE(2, 16);
  change(file);
  return file;
}

test.each([
  ['text', Buffer.from('#!/bin/sh\n'.repeat(20))],
  ['an empty file', Buffer.alloc(0)],
  ['a program for any address', head((file) => file.writeUInt16LE(3, 16))],
  ['a program of 32 bits', head((file) => file.writeUInt8(1, 4))],
])('nothing is added to %s', (_what, file) => {
  expect(() => inject(file, Buffer.from('blob'))).toThrow('not a 64-bit little-endian ELF program');
});

test('nothing is added to a program without the place for it', () => {
  expect(() => inject(head(), Buffer.from('blob'))).toThrow('the program must have');
});
