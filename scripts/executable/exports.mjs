// Blanks the names that Node exports for native addons. A single executable loads none, and the names take half a megabyte of the
// compressed file. They stay in their places: nothing moves, and a search by hash compares with an empty name.
// See https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.symtab.html

const sectionSize = 64;
const symbolSize = 24;
const dynamicSymbols = 11;
/** What nothing but an addon asks for: names of V8, Node, ICU, libuv and Node-API. All others stay, since the libraries that are loaded look
 *  some of them up here first, such as those of the C++ library. */
const forAddons =
  /^(?:_Z\w*?\d(?:v8|node|cppgc|heap|icu_\d+)(?=\d|[A-Z]|$)|uv_|napi_|node_api_|node_module_)/;

/** @param {Buffer} file a 64-bit little-endian program; changed in place
 *  @returns {number} the bytes that were blanked */
export function blankExports(file) {
  const sectionsAt = Number(file.readBigUInt64LE(40));
  const count = file.readUInt16LE(60);
  const section = (i) => file.subarray(sectionsAt + i * sectionSize, sectionsAt + (i + 1) * sectionSize);
  const all = Array.from({ length: count }, (_, i) => section(i));
  const symbols = all.find((raw) => raw.readUInt32LE(4) === dynamicSymbols);
  if (symbols === undefined) return 0;
  const strings = placeOf(section(symbols.readUInt32LE(40)));
  const names = file.subarray(strings.offset, strings.offset + strings.size);
  const { offset, size } = placeOf(symbols);
  const dropped = [];
  // A name may be the end of another one.
  const kept = new Uint8Array(names.length).fill(1);
  for (let at = offset; at < offset + size; at += symbolSize) {
    const start = file.readUInt32LE(at);
    const end = names.indexOf(0, start);
    const isDefined = file.readUInt16LE(at + 6) !== 0;
    if (isDefined && forAddons.test(names.latin1Slice(start, end))) dropped.push({ at, start, end });
  }
  for (const { start, end } of dropped) kept.fill(0, start, end);
  const gone = new Set(dropped.map(({ at }) => at));
  for (let at = offset; at < offset + size; at += symbolSize) {
    if (gone.has(at)) continue;
    const start = file.readUInt32LE(at);
    kept.fill(1, start, names.indexOf(0, start) + 1);
  }
  let blanked = 0;
  for (let i = 0; i < names.length; i++) {
    if (kept[i] === 1 || names[i] === 0) continue;
    names[i] = 0;
    blanked++;
  }
  return blanked;
}

const placeOf = (raw) => ({
  offset: Number(raw.readBigUInt64LE(24)),
  size: Number(raw.readBigUInt64LE(32)),
});
