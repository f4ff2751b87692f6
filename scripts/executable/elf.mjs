// Makes a single executable out of Node's: leaves its symbols out, and adds a segment with the blob. In place of binutils, which
// strips only its own architecture, and of postject, which writes over the end of the text segment and needs 8 seconds.
// For 64-bit little-endian programs at fixed addresses, as Node's are.
// See https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html and elf(5).

import { cut } from './cut.mjs';

const executable = 2;
/** Of segments. */
const type = { load: 1, loader: 3, note: 4, phdr: 6 };
/** Of sections. */
const sectionType = { strings: 3, dynamic: 6, versionsRequired: 0x6ffffffe };
const allocated = 2n;
const headerSize = 64;
const segmentSize = 56;
const sectionSize = 64;
/** The largest of both architectures. */
const pageSize = 0x10000;

export const machines = { x64: 62, arm64: 183 };

/** Node looks for a note of this name, and only when the last digit of the fuse is 1.
 *  @see https://nodejs.org/api/single-executable-applications.html */
const noteName = 'NODE_SEA_BLOB';
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const roundUp = (value, to) => Math.ceil(value / to) * to;

/** @param {Buffer} file */
function read(file) {
  const ident = file.subarray(0, 6).toString('latin1');
  if (ident !== '\x7fELF\x02\x01' || file.readUInt16LE(16) !== executable)
    throw new Error('not a 64-bit little-endian ELF program at a fixed address');
  return {
    machine: file.readUInt16LE(18),
    segments: table(file, Number(file.readBigUInt64LE(32)), segmentSize, file.readUInt16LE(56)),
    sections: table(file, Number(file.readBigUInt64LE(40)), sectionSize, file.readUInt16LE(60)),
    namesAt: file.readUInt16LE(62),
  };
}

const table = (file, at, size, count) =>
  Array.from({ length: count }, (_, i) => Buffer.from(file.subarray(at + i * size, at + (i + 1) * size)));

const segment = (raw) => ({
  raw,
  type: raw.readUInt32LE(0),
  offset: Number(raw.readBigUInt64LE(8)),
  address: Number(raw.readBigUInt64LE(16)),
  size: Number(raw.readBigUInt64LE(32)),
  memory: Number(raw.readBigUInt64LE(40)),
});

export const machineOf = (file) => read(file).machine;

/** @param {Buffer} file @returns {string[]} the names of its sections */
export function sectionNames(file) {
  const { sections, namesAt } = read(file);
  return sections.map(nameIn(file, sections[namesAt]));
}

const nameIn = (file, names) => (raw) => {
  const start = Number(names.readBigUInt64LE(24)) + raw.readUInt32LE(0);
  return file.toString('latin1', start, file.indexOf(0, start));
};

/** The program with the blob in it and without its symbols. Its own bytes keep their addresses.
 *  @param {Buffer} program Node's  @param {Buffer} blob as `--experimental-sea-config` wrote it
 *  @param {{ from: number, to: number }} [unused] a part of the file that is left out
 *  @returns {Buffer} */
export function inject(program, blob, unused = { from: 0, to: 0 }) {
  const { file: node, elf } = cut(program, read(program), unused);
  const segments = elf.segments.map(segment);
  const ofType = (wanted) => segments.filter((each) => each.type === wanted);
  const [loads, notes] = [ofType(type.load), ofType(type.note)];
  if (loads.length === 0 || notes.length !== 1 || ofType(type.phdr).length !== 1)
    throw new Error('the program must have one segment with notes, and one that describes its segments');
  const end = Math.max(...loads.map((each) => each.offset + each.size));
  const top = Math.max(...loads.map((each) => each.address + each.memory));

  const [own] = notes;
  const data = Buffer.concat([node.subarray(own.offset, own.offset + own.size), note(noteName, blob)]);
  // Right behind: a segment begins at the same place of a page in the file and in memory.
  const at = roundUp(end, 8);
  const address = roundUp(top, pageSize) + pageSize + (at % pageSize);

  moveSections(elf.sections, own, { at, address });
  const loader = loaderBehindTable(segments, elf.sections, own);
  const sections = sectionTable(node, elf);
  const sectionsAt = roundUp(at + data.length + sections.names.length, 8);
  const result = Buffer.alloc(sectionsAt + sections.headers.length * sectionSize);
  node.copy(result, 0, 0, end);
  if (loader !== null) node.copy(result, loader.to, loader.from, loader.from + loader.size);
  data.copy(result, at);
  sections.names.copy(result, at + data.length);
  sections.place(at + data.length);
  Buffer.concat(sections.headers).copy(result, sectionsAt);

  const place = { offset: at, address, size: data.length };
  writeSegments(result, segments, place);
  result.writeBigUInt64LE(BigInt(sectionsAt), 40);
  result.writeUInt16LE(sections.headers.length, 60);
  result.writeUInt16LE(sections.headers.length - 1, 62);
  lightFuse(result.subarray(0, end));
  return result;
}

function note(name, content) {
  const header = Buffer.alloc(12);
  const text = Buffer.alloc(roundUp(name.length + 1, 4));
  text.write(name, 'latin1');
  header.writeUInt32LE(name.length + 1, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, text, content, Buffer.alloc(roundUp(content.length, 4) - content.length)]);
}

/** What is in `range` of the file is elsewhere now. */
function moveSections(sections, range, { at, address }) {
  for (const raw of sections) {
    const into = Number(raw.readBigUInt64LE(24)) - range.offset;
    if (into < 0 || into >= range.size || (raw.readBigUInt64LE(8) & allocated) === 0n) continue;
    raw.writeBigUInt64LE(BigInt(address + into), 16);
    raw.writeBigUInt64LE(BigInt(at + into), 24);
  }
}

/** The path of the loader is right behind the table, and the program's own notes, which have been copied, are behind it. For one
 *  entry more the path moves over them.
 *  @returns what of the file is moved; null: the table has room */
function loaderBehindTable(segments, sections, notes) {
  const loader = segments.find((each) => each.type === type.loader);
  const to = headerSize + segments.length * segmentSize;
  if (loader === undefined || to <= loader.offset) return null;
  const { offset: from, size } = loader;
  if (to + size > notes.offset + notes.size)
    throw new Error('the table of segments has no room for one more');
  const address = loader.address + to - from;
  moveSections(sections, loader, { at: to, address });
  loader.raw.writeBigUInt64LE(BigInt(to), 8);
  for (const at of [16, 24]) loader.raw.writeBigUInt64LE(BigInt(address), at);
  return { from, to, size };
}

/** The entry that describes the table itself gives up its place for the new one: only programs that can be loaded anywhere need it.
 *  The new segment has the highest address, so it goes behind the other loaded ones. */
function writeSegments(result, segments, { offset, address, size }) {
  const made = (kind, align) => {
    const raw = Buffer.alloc(segmentSize);
    raw.writeUInt32LE(kind, 0);
    raw.writeUInt32LE(4, 4); // readable
    for (const [place, value] of [
      [8, offset],
      [16, address],
      [24, address],
      [32, size],
      [40, size],
      [48, align],
    ])
      raw.writeBigUInt64LE(BigInt(value), place);
    return raw;
  };
  const lastLoad = segments.findLastIndex((each) => each.type === type.load);
  const written = segments.flatMap((each, i) => {
    if (each.type === type.phdr) return [];
    if (each.type === type.note) return [made(type.note, 4)];
    return i === lastLoad ? [each.raw, made(type.load, pageSize)] : [each.raw];
  });
  Buffer.concat(written).copy(result, headerSize);
  result.writeUInt16LE(written.length, 56);
}

/** The sections that are loaded, and a table of their names: the symbols are not among them. */
function sectionTable(node, { sections, namesAt }) {
  const nameOf = nameIn(node, sections[namesAt]);
  const isKept = (raw, i) => i === 0 || (raw.readBigUInt64LE(8) & allocated) !== 0n;
  const kept = sections.filter(isKept);
  // Of the sections that are left, some refer to others by number.
  const numbers = new Map(sections.flatMap((raw, i) => (isKept(raw, i) ? [[i, kept.indexOf(raw)]] : [])));
  const strings = Buffer.alloc(sectionSize);
  const headers = [...kept.map((raw) => Buffer.from(raw)), strings];
  let names = '\0';
  headers.forEach((raw, i) => {
    raw.writeUInt32LE(i === 0 ? 0 : names.length, 0);
    if (i > 0) names += `${raw === strings ? '.shstrtab' : nameOf(kept[i])}\0`;
    raw.writeUInt32LE(numbers.get(raw.readUInt32LE(40)) ?? 0, 40);
  });
  strings.writeUInt32LE(sectionType.strings, 4);
  strings.writeBigUInt64LE(BigInt(names.length), 32);
  strings.writeBigUInt64LE(1n, 48);
  return {
    headers,
    names: Buffer.from(names, 'latin1'),
    place: (at) => void strings.writeBigUInt64LE(BigInt(at), 24),
  };
}

function lightFuse(file) {
  const at = file.indexOf(`${fuse}:0`);
  if (at === -1 || file.indexOf(`${fuse}:0`, at + 1) !== -1)
    throw new Error('this Node does not have the mark of a single executable, or has it twice');
  file.write('1', at + fuse.length + 1, 'latin1');
}

/** The shared libraries that a program requires.
 *  @param {Buffer} file */
export function requiredLibraries(file) {
  const { sections } = read(file);
  const dynamic = sections.find((raw) => raw.readUInt32LE(4) === sectionType.dynamic);
  if (dynamic === undefined) return [];
  const strings = Number(sections[dynamic.readUInt32LE(40)].readBigUInt64LE(24));
  const [at, size] = [Number(dynamic.readBigUInt64LE(24)), Number(dynamic.readBigUInt64LE(32))];
  return table(file, at, 16, size / 16)
    .filter((entry) => entry.readBigUInt64LE(0) === 1n)
    .map((entry) => {
      const start = strings + Number(entry.readBigUInt64LE(8));
      return file.toString('latin1', start, file.indexOf(0, start));
    });
}

/** The newest version of a library's symbols, such as `GLIBC_2.28`, that a program requires; as numbers.
 *  @param {Buffer} file  @param {string} library `GLIBC`, `GLIBCXX` */
export function newestRequired(file, library) {
  const { sections } = read(file);
  const required = sections.find((raw) => raw.readUInt32LE(4) === sectionType.versionsRequired);
  if (required === undefined) return null;
  const strings = sections[required.readUInt32LE(40)];
  const from = Number(strings.readBigUInt64LE(24));
  const text = file.toString('latin1', from, from + Number(strings.readBigUInt64LE(32)));
  const found = [...text.matchAll(new RegExp(`\\0${library}_([0-9.]+)(?=\\0)`, 'g'))];
  const versions = found.map(([, version]) => version.split('.').map(Number));
  return versions.sort(byParts).at(-1) ?? null;
}

const byParts = (a, b) => {
  const at = a.findIndex((part, i) => part !== (b[i] ?? 0));
  return at === -1 ? a.length - b.length : a[at] - (b[at] ?? 0);
};
