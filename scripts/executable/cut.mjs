// Leaves a part out of a program's file that nobody reads. Everything keeps its address: the segment around it becomes two.

/** The largest of both architectures: what is behind keeps its place in its page. */
const pageSize = 0x10000;
const load = 1;

/** Numbers at these places of a segment's and of a section's entry. */
const segmentAt = { offset: 8, address: 16, physical: 24, size: 32, memory: 40 };
const sectionAt = { offset: 24, size: 32 };

const numberAt = (raw, at) => Number(raw.readBigUInt64LE(at));
const change = (raw, at, by) => void raw.writeBigUInt64LE(BigInt(numberAt(raw, at) + by), at);

/** @template {{ segments: Buffer[], sections: Buffer[] }} Elf
 *  @param {Buffer} file  @param {Elf} elf its tables  @param {{ from: number, to: number }} range
 *  @returns {{ file: Buffer, elf: Elf }} the tables are one segment longer, and not in the file */
export function cut(file, elf, range) {
  const from = Math.ceil(range.from / pageSize) * pageSize;
  const to = Math.floor(range.to / pageSize) * pageSize;
  if (to <= from) return { file, elf };
  const around = (raw, at) =>
    numberAt(raw, at.offset) <= from && numberAt(raw, at.offset) + numberAt(raw, at.size) >= to;
  const moved = (raw, at) => {
    const copy = Buffer.from(raw);
    if (numberAt(raw, at.offset) >= to) change(copy, at.offset, from - to);
    return copy;
  };
  const segments = elf.segments.flatMap((raw) => {
    if (raw.readUInt32LE(0) !== load || !around(raw, segmentAt)) return [moved(raw, segmentAt)];
    const [before, behind] = [Buffer.from(raw), Buffer.from(raw)];
    const offset = numberAt(raw, segmentAt.offset);
    const left = offset + numberAt(raw, segmentAt.size) - from;
    for (const at of [segmentAt.size, segmentAt.memory]) {
      change(before, at, -left);
      change(behind, at, offset - to);
    }
    for (const at of [segmentAt.address, segmentAt.physical]) change(behind, at, to - offset);
    change(behind, segmentAt.offset, from - offset);
    return [before, behind];
  });
  if (segments.length !== elf.segments.length + 1)
    throw new Error('the part that is left out must be in one loaded segment');
  // A section ends where the cut begins: the program does without sections.
  const sections = elf.sections.map((raw) => {
    const copy = moved(raw, sectionAt);
    if (around(raw, sectionAt))
      change(copy, sectionAt.size, from - numberAt(raw, sectionAt.offset) - numberAt(raw, sectionAt.size));
    return copy;
  });
  return {
    file: Buffer.concat([file.subarray(0, from), file.subarray(to)]),
    elf: { ...elf, segments, sections },
  };
}
