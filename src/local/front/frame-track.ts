/** What is wanted of a message that passes by: nothing, its text piece by piece, or its whole body. */
export type Wanted = 'nothing' | 'pieces' | 'body';

export interface FrameListener {
  /** A message begins. @param length bytes of its body */
  wants(type: string, length: number): Wanted;
  /** A part of a body. */
  piece?(type: string, bytes: Buffer): void;
  /** A whole body. */
  body?(type: string, bytes: Buffer): void;
}

const headBytes = 5;
/** A longer body is not kept, whoever wants it. */
export const keptBytes = 64 * 1024;

/** Follows the messages of a byte stream that is passed on as it is, in chunks of any size. It keeps nothing but the bodies that
 *  are asked for. */
export class FrameTrack {
  readonly #listener: FrameListener;
  #head = Buffer.alloc(0);
  #type = '';
  #left = 0;
  #wanted: Wanted = 'nothing';
  #kept: Buffer[] = [];
  #broken = false;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** Whether no message is in transit. Never again once a length was impossible: then nothing is known of the stream. */
  get atBoundary(): boolean {
    return !this.#broken && this.#left === 0 && this.#head.length === 0;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#broken;) {
      if (this.#left > 0) {
        const part = chunk.subarray(at, at + this.#left);
        at += part.length;
        this.#take(part);
      } else at += this.#begin(chunk.subarray(at));
    }
  }

  /** @returns how many bytes it has used */
  #begin(bytes: Buffer): number {
    const missing = headBytes - this.#head.length;
    if (bytes.length < missing) {
      this.#head = Buffer.concat([this.#head, bytes]);
      return bytes.length;
    }
    const head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes.subarray(0, missing)]);
    this.#head = Buffer.alloc(0);
    const length = head.readUInt32BE(1) - 4;
    if (length < 0) {
      this.#broken = true;
      return bytes.length;
    }
    this.#type = String.fromCharCode(head[0] as number);
    this.#left = length;
    const wanted = this.#listener.wants(this.#type, length);
    this.#wanted = wanted === 'body' && length > keptBytes ? 'nothing' : wanted;
    if (length === 0) this.#end();
    return missing;
  }

  #take(part: Buffer): void {
    this.#left -= part.length;
    if (this.#wanted === 'pieces') this.#listener.piece?.(this.#type, part);
    // A copy: the chunk may be large, and is not kept for the sake of a part.
    else if (this.#wanted === 'body') this.#kept.push(Buffer.from(part));
    if (this.#left === 0) this.#end();
  }

  #end(): void {
    const kept = this.#kept;
    this.#kept = [];
    if (this.#wanted === 'body') this.#listener.body?.(this.#type, Buffer.concat(kept));
  }
}
