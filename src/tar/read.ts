import { type Extended, readPax } from './pax.ts';
import { TarError } from './tar-error.ts';

export interface TarEntry {
  /** The name of the file itself, also where the archive has another one in its place (`GNUSparseFile.N/x`). */
  readonly name: string;
  /** `sparse`: a file whose content is stored without its holes, with a map of them. Its sink must refuse it, since what
   *  follows is not the content. */
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'sparse' | 'other';
  /** Permission bits only. */
  readonly mode: number;
  /** Bytes of content that follow. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly linkName: string;
}

/** Gets the entries in order: `begin`, the content in pieces, `end`. Pieces are only valid during the call. */
export interface TarSink {
  begin(entry: TarEntry): void;
  data(piece: Buffer): void;
  end(): void;
}

const block = 512;
/** Largest extended header in bytes; these headers contain only names. */
const metaLimit = 64 * 1024;
/** Extended headers in front of one entry. There are three kinds for one entry, and one for all. */
const metaCount = 8;
/** Bytes of zero blocks in the whole archive. */
const zerosLimit = 1024 * 1024;

const types: Record<string, TarEntry['type']> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
  S: 'sparse',
};

/** Reads ustar, GNU long names and pax headers (path, linkpath, size), and recognises sparse files. Passes content on at once and buffers only one
 *  block or extended header. Zero blocks do not end the archive: old pageservers send them before an error.
 *  @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13 */
export class TarReader {
  readonly #sink: TarSink;
  #partial: Buffer = Buffer.alloc(0);
  /** Remaining bytes of content, and of the padding after it. */
  #content = 0;
  #padding = 0;
  /** Collects an extended header; null while a real entry is read. */
  #meta: { type: string; pieces: Buffer[] } | null = null;
  #metas = 0;
  #zeros = 0;
  #inEntry = false;
  #next: Extended = {};

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws TarError */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#content > 0) {
        const piece = chunk.subarray(at, at + this.#content);
        at += piece.length;
        this.#content -= piece.length;
        // A copy, because the reader keeps it beyond this call.
        if (this.#meta === null) this.#sink.data(piece);
        else this.#meta.pieces.push(Buffer.from(piece));
        if (this.#content === 0) this.#finish();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        at += skipped;
        this.#padding -= skipped;
      } else at = this.#header(chunk, at);
    }
  }

  /** The stream has ended. @throws TarError when it ended inside an entry or header */
  end(): void {
    if (
      this.#inEntry ||
      this.#padding > 0 ||
      this.#partial.length > 0 ||
      Object.keys(this.#next).length > 0
    ) {
      throw new TarError('the archive is cut off');
    }
  }

  #header(chunk: Buffer, at: number): number {
    if (this.#partial.length === 0 && chunk.length - at >= block) {
      this.#begin(chunk.subarray(at, at + block));
      return at + block;
    }
    const missing = block - this.#partial.length;
    this.#partial = Buffer.concat([this.#partial, chunk.subarray(at, at + missing)]);
    if (this.#partial.length === block) {
      const header = this.#partial;
      this.#partial = Buffer.alloc(0);
      this.#begin(header);
    }
    return Math.min(at + missing, chunk.length);
  }

  #begin(header: Buffer): void {
    if (header[0] === 0 && header.equals(zeros)) {
      this.#zeros += block;
      if (this.#zeros > zerosLimit)
        throw new TarError(`it has more than ${zerosLimit} bytes of nothing but zeros`);
      return;
    }
    checkSum(header);
    const letter = String.fromCharCode(header[156] ?? 0);
    const meta = 'xgLK'.includes(letter);
    const size = (meta ? undefined : this.#next.size) ?? number(header, 124, 12);
    this.#inEntry = true;
    if (meta) {
      if (size > metaLimit)
        throw new TarError(`an extended header has ${size} bytes, more than ${metaLimit}`);
      if (++this.#metas > metaCount)
        throw new TarError(`more than ${metaCount} extended headers are in front of one entry`);
      this.#meta = { type: letter, pieces: [] };
      this.#content = size;
    } else {
      const entry = this.#entry(header, letter, size);
      this.#next = {};
      this.#metas = 0;
      this.#sink.begin(entry);
      this.#content = entry.size;
    }
    this.#padding = (block - (this.#content % block)) % block;
    if (this.#content === 0) this.#finish();
  }

  #entry(header: Buffer, letter: string, size: number): TarEntry {
    const name = this.#next.realName ?? this.#next.path ?? headerName(header);
    const type = this.#next.sparse === true ? 'sparse' : (types[letter] ?? 'other');
    return {
      name,
      type: type === 'file' && name.endsWith('/') ? 'directory' : type,
      mode: number(header, 100, 8) & 0o777,
      // Links have no content, even if their header has a size.
      size: type === 'symlink' || type === 'hardlink' ? 0 : size,
      mtime: number(header, 136, 12),
      linkName: this.#next.linkpath ?? text(header, 157, 100),
    };
  }

  #finish(): void {
    this.#inEntry = false;
    if (this.#meta === null) {
      this.#sink.end();
      return;
    }
    const { type, pieces } = this.#meta;
    const body = Buffer.concat(pieces);
    this.#meta = null;
    if (type === 'L') this.#next.path = text(body, 0, body.length);
    else if (type === 'K') this.#next.linkpath = text(body, 0, body.length);
    else if (type === 'x') readPax(body, this.#next);
    else {
      // Those of all entries that follow. Names and sizes there would be the same for each of them.
      const shared: Extended = {};
      readPax(body, shared);
      if (shared.sparse === true) this.#next.sparse = true;
    }
  }
}

const zeros = Buffer.alloc(block);

function checkSum(header: Buffer): void {
  const stated = number(header, 148, 8);
  let sum = 8 * 32;
  for (let at = 0; at < 148; at++) sum += header[at] as number;
  for (let at = 156; at < block; at++) sum += header[at] as number;
  if (sum !== stated) throw new TarError('a header has a bad checksum');
}

/** Octal digits, or base 256 when the first bit is set (GNU, for large numbers). */
function number(header: Buffer, at: number, length: number): number {
  const first = header[at] as number;
  if (first >= 0x80) {
    let value = first & 0x7f;
    for (let next = at + 1; next < at + length; next++) value = value * 256 + (header[next] as number);
    if (!Number.isSafeInteger(value)) throw new TarError('a header contains a number that is too large');
    return value;
  }
  const digits = text(header, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new TarError('a header field is not a number');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function text(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('utf8', at, end === -1 || end > at + length ? at + length : end);
}

function headerName(header: Buffer): string {
  const name = text(header, 0, 100);
  // Only POSIX archives have a prefix there; GNU archives use these bytes for other data.
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? text(header, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}
