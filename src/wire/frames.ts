import { ProtocolError } from './messages.ts';

/** One message from the client. `type` is its letter; empty for the packets before the log-in, which have no letter. */
export interface Frame {
  readonly type: string;
  /** The bytes after the length. */
  readonly body: Buffer;
}

/** Largest packet before the log-in, as in PostgreSQL (MAX_STARTUP_PACKET_LENGTH). */
const startupLimit = 10_000;

const known = 'QPDBESCXHdcfpF';

/** Splits a byte stream, in chunks of any size, into messages. Copies bytes only when a message spans chunks. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #held = 0;
  readonly #limit: number;

  /** @param limit largest message in bytes, its header included */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that arrived and were not yet returned. */
  get held(): number {
    return this.#held;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next message; null while it is incomplete. The body stays valid.
   *  @param untyped true until the start-up packet has been read
   *  @throws ProtocolError on an invalid length or type */
  next(untyped: boolean): Frame | null {
    const header = untyped ? 4 : 5;
    if (this.#held < header) {
      if (!untyped && this.#held > 0) checkType(this.#peek(1));
      return null;
    }
    const head = this.#peek(header);
    if (!untyped) checkType(head);
    const length = head.readUInt32BE(header - 4);
    const limit = untyped ? startupLimit : this.#limit;
    if (length < (untyped ? 8 : 4) || length > limit) throw new ProtocolError(`message of ${length} bytes`);
    const total = header - 4 + length;
    if (this.#held < total) return null;
    const bytes = this.#take(total);
    return { type: untyped ? '' : String.fromCharCode(bytes[0] ?? 0), body: bytes.subarray(header) };
  }

  #peek(count: number): Buffer {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= count) return first;
    const joined: Buffer[] = [];
    for (let at = 0, size = 0; size < count; at++) {
      const chunk = this.#chunks[at] as Buffer;
      joined.push(chunk);
      size += chunk.length;
    }
    const whole = Buffer.concat(joined);
    this.#chunks.splice(0, joined.length, whole);
    return whole;
  }

  #take(count: number): Buffer {
    const whole = this.#peek(count);
    const rest = whole.subarray(count);
    if (rest.length === 0) this.#chunks.shift();
    else this.#chunks[0] = rest;
    this.#held -= count;
    return whole.subarray(0, count);
  }
}

function checkType(head: Buffer): void {
  const type = String.fromCharCode(head[0] ?? 0);
  if (!known.includes(type)) throw new ProtocolError(`message type 0x${(head[0] ?? 0).toString(16)}`);
}
