// Leaves out what Node has for languages other than English: their names of months, countries and currencies, their orders, the words of
// Thai and Chinese, and the old character sets. These are a quarter of its file. None of the programs prints in another language or reads
// anything but UTF-8. Where one is asked for, ICU takes its root, as it does for a language that it does not know.
// See https://github.com/unicode-org/icu/blob/main/icu4c/source/common/ucmndata.h, "Table-of-contents"

/** Of the whole package. */
const format = Buffer.from('CmnD');
const formatAt = 12;
const magic = 0x27da;
/** Each part begins at a multiple of this. */
const alignment = 16;
const entrySize = 8;

/** `zone/de_AT.res` and the like, which are not `en…`; what all languages share has longer names. */
const ofLanguage = /^(?:\w+\/)?(?!en[_.])[a-z]{2,3}(?:_[A-Z\d]\w*)?\.res$/;
const others = /\.cnv$|\.dict$|^translit\//;

/** @param {Buffer} file a little-endian program; changed in place: what stays is moved together
 *  @returns {{ from: number, to: number }} the part of the file that nobody reads any more */
export function withoutLanguages(file) {
  const start = packageIn(file);
  const base = start + file.readUInt16LE(start);
  const count = file.readUInt32LE(base);
  const entries = Array.from({ length: count }, (_, i) => entry(file, base, i));
  const sizes = entries.map(({ at }, i) => (entries[i + 1]?.at ?? at) - at);
  if (sizes.some((size) => size < 0) || entries.some(({ at }) => at % alignment !== 0))
    throw new Error("the parts of ICU's data are not in the order of their names");
  let [kept, end] = [0, entries[0]?.at ?? 0];
  entries.forEach(({ name, nameAt, at }, i) => {
    // How long the last one is is not known; it is one of those that are left out.
    if (isLeftOut(name)) return;
    if (i === count - 1) throw new Error(`the last part of ICU's data is ${name}, which has no known end`);
    file.copy(file, base + end, base + at, base + at + sizes[i]);
    file.writeUInt32LE(nameAt, base + 4 + kept * entrySize);
    file.writeUInt32LE(end, base + 8 + kept * entrySize);
    end += sizes[i];
    kept++;
  });
  file.writeUInt32LE(kept, base);
  return { from: base + end, to: base + entries[count - 1].at };
}

function packageIn(file) {
  for (let at = file.indexOf(format, formatAt); at !== -1; at = file.indexOf(format, at + 1))
    if (file.readUInt16LE(at - formatAt + 2) === magic) return at - formatAt;
  throw new Error("this Node does not have ICU's data in it");
}

function entry(file, base, i) {
  const nameAt = file.readUInt32LE(base + 4 + i * entrySize);
  const name = file.toString('latin1', base + nameAt, file.indexOf(0, base + nameAt));
  return { nameAt, name: name.slice(name.indexOf('/') + 1), at: file.readUInt32LE(base + 8 + i * entrySize) };
}

export const isLeftOut = (name) => ofLanguage.test(name) || others.test(name);
