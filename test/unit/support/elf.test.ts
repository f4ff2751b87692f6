import { expect, test } from 'vitest';
import { inject } from '../../../scripts/executable/elf.mjs';
import { isLeftOut, withoutLanguages } from '../../../scripts/executable/languages.mjs';

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

test.each([
  ['de.res', true],
  ['zone/de_AT.res', true],
  ['sr_Latn_ME.res', true],
  ['curr/no.res', true],
  ['ibm-949_P110-1999.cnv', true],
  ['brkitr/thaidict.dict', true],
  ['translit/root.res', true],
  ['en.res', false],
  ['lang/en_GB.res', false],
  ['en_001.res', false],
  ['root.res', false],
  ['coll/root.res', false],
  // The list of languages: without it there is none, not even English.
  ['res_index.res', false],
  ['zone/res_index.res', false],
  ['pool.res', false],
  ['zoneinfo64.res', false],
  ['timezoneTypes.res', false],
  ['zone/tzdbNames.res', false],
  ['nfkc.nrm', false],
  ['rfc4013.spp', false],
  ['cnvalias.icu', false],
])('of the data of ICU, %s is left out: %s', (name, out) => {
  expect(isLeftOut(name)).toBe(out);
});

/** A package of ICU's with something before and behind it; each part is its own name, to 32 bytes. */
function packageOf(names: readonly string[]): Buffer {
  const toc = Buffer.alloc(512);
  toc.writeUInt32LE(names.length, 0);
  let nameAt = 256;
  names.forEach((name, i) => {
    toc.writeUInt32LE(nameAt, 4 + i * 8);
    toc.writeUInt32LE(512 + i * 32, 8 + i * 8);
    nameAt += toc.write(`icudt78l/${name}\0`, nameAt, 'latin1');
  });
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32, 0);
  header.writeUInt16LE(0x27da, 2);
  header.write('CmnD', 12, 'latin1');
  const parts = names.map((name) => Buffer.from(name.padEnd(32)));
  return Buffer.concat([Buffer.from('CmnD, but not with its mark before it.'), header, toc, ...parts]);
}

/** As ICU finds them. */
function partsOf(file: Buffer, toc: number): string[][] {
  return Array.from({ length: file.readUInt32LE(toc) }, (_, i) => {
    const [nameAt, at] = [file.readUInt32LE(toc + 4 + i * 8), file.readUInt32LE(toc + 8 + i * 8)];
    const name = file.toString('latin1', toc + nameAt, file.indexOf(0, toc + nameAt));
    return [name.slice(9), file.toString('latin1', toc + at, toc + at + 32).trim()];
  });
}

test('what stays of the data of ICU is found by its name, and the rest of the place is free', () => {
  const file = packageOf(['ar.res', 'brkitr/cjdict.dict', 'en.res', 'fr.res', 'root.res', 'zu.res']);
  const toc = file.length - 6 * 32 - 512;
  expect(withoutLanguages(file)).toEqual({ from: toc + 512 + 2 * 32, to: toc + 512 + 5 * 32 });
  expect(partsOf(file, toc)).toEqual([
    ['en.res', 'en.res'],
    ['root.res', 'root.res'],
  ]);
});

test('a Node without the data of ICU, or with data in another order, is refused', () => {
  expect(() => withoutLanguages(Buffer.alloc(100))).toThrow('does not have ICU');
  expect(() => withoutLanguages(packageOf(['de.res', 'en.res']))).toThrow('no known end');
});
