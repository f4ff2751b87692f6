/** What is wanted of a message that passes by: nothing, its text piece by piece, or its whole body. */
export type Wanted = 'nothing' | 'pieces' | 'body';

export interface FrameListener {
  /** The letters of the messages that count; left out: all. The others pass by uncalled, as the rows of a large result do. */
  readonly heeds?: string;
  /** A message begins. @param length bytes of its body */
  wants(type: string, length: number): Wanted;
  /** A part of a body, which is only lent. @param isLast the message ends with it */
  piece?(type: string, bytes: Buffer, isLast: boolean): void;
  /** A whole body, which is only lent. */
  body?(type: string, bytes: Buffer): void;
}

const headBytes = 5;
/** A longer body is not kept, whoever wants it. */
export const keptBytes = 64 * 1024;

const nothing = Buffer.alloc(0);

/** Follows the messages of a byte stream that is passed on as it is, in chunks of any size. It keeps nothing but the bodies that
 *  are asked for and have not come in one chunk. Each byte of a busy database goes by here: nothing is copied or created for
 *  messages that nobody heeds. */
export class FrameTrack {
  readonly #listener: FrameListener;
  readonly #heeds: readonly boolean[];
  #head = nothing;
  #type = '';
  #left = 0;
  #wanted: Wanted = 'nothing';
  #kept: Buffer[] = [];
  #broken = false;

  constructor(listener: FrameListener) {
    this.#listener = listener;
    this.#heeds = heededBy(listener.heeds);
  }

  /** Whether no message is in transit. Never again once a length was impossible: then nothing is known of the stream. */
  get atBoundary(): boolean {
    return !this.#broken && this.#left === 0 && this.#head.length === 0;
  }

  push(chunk: Buffer): void {
    let at = this.#left > 0 ? this.#take(chunk, 0) : 0;
    while (at < chunk.length && !this.#broken) {
      const isWhole = this.#head.length === 0 && chunk.length - at >= headBytes;
      at = isWhole ? this.#begin(chunk, at, chunk, at + headBytes) : this.#gather(chunk, at);
    }
  }

  /** For a head that comes in several chunks. @returns up to where the chunk is used, as all of these do */
  #gather(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + headBytes - this.#head.length);
    const head = Buffer.concat([this.#head, chunk.subarray(at, end)]);
    this.#head = head.length < headBytes ? head : nothing;
    return head.length < headBytes ? end : this.#begin(head, 0, chunk, end);
  }

  #begin(head: Buffer, headAt: number, chunk: Buffer, at: number): number {
    const letter = head[headAt] as number;
    const length = head.readUInt32BE(headAt + 1) - 4;
    if (length < 0) {
      this.#broken = true;
      return at;
    }
    this.#left = length;
    if (this.#heeds[letter] === true) this.#heed(String.fromCharCode(letter), length);
    else this.#wanted = 'nothing';
    return this.#take(chunk, at);
  }

  #heed(type: string, length: number): void {
    const wanted = this.#listener.wants(type, length);
    this.#type = type;
    this.#wanted = wanted === 'body' && length > keptBytes ? 'nothing' : wanted;
    if (length === 0) this.#want(nothing);
  }

  #take(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (end === at) return at;
    this.#left -= end - at;
    if (this.#wanted !== 'nothing') this.#want(chunk.subarray(at, end));
    return end;
  }

  #want(part: Buffer): void {
    const isLast = this.#left === 0;
    if (this.#wanted === 'pieces') this.#listener.piece?.(this.#type, part, isLast);
    else if (this.#wanted === 'nothing') return;
    else if (isLast && this.#kept.length === 0) this.#listener.body?.(this.#type, part);
    else {
      // A copy: the chunk may be large, and is not kept for the sake of a part.
      this.#kept.push(Buffer.from(part));
      if (!isLast) return;
      const kept = this.#kept;
      this.#kept = [];
      this.#listener.body?.(this.#type, Buffer.concat(kept));
    }
  }
}

const all = Array.from({ length: 256 }, () => true);
const known = new Map<string, readonly boolean[]>();

/** By letter; the same for all streams of a kind. */
function heededBy(letters: string | undefined): readonly boolean[] {
  if (letters === undefined) return all;
  const found = known.get(letters) ?? all.map((_, code) => letters.includes(String.fromCharCode(code)));
  known.set(letters, found);
  return found;
}
