import { ComputeError } from '../core/errors.ts';

/** How much a server may send. */
export interface FrameLimits {
  /** Bytes of one message after the log-in. */
  readonly messageBytes: number;
  /** Bytes of one message before the server is ready for the first time. */
  readonly loginBytes: number;
  /** Bytes of all that is kept of one answer, `overheadBytes` for each message included. */
  readonly answerBytes: number;
}

export const frameLimits: FrameLimits = {
  messageBytes: 64 * 1024 * 1024,
  loginBytes: 1024 * 1024,
  answerBytes: 128 * 1024 * 1024,
};

/** Approximate memory that the driver needs for a message in addition to its bytes. */
const overheadBytes = 128;
/** A longer error or notice is shortened, since it goes into the log and into answers. */
const maxErrorBytes = 65_536;
const maxErrorFieldBytes = 4096;
/** Ok, clear-text password, MD5, and the three steps of SASL. */
const authentications: readonly number[] = [0, 3, 5, 10, 11, 12];

const headBytes = 5;
const code = (letter: string): number => letter.charCodeAt(0);
const [E, N, R, Z, A, S, d] = ['E', 'N', 'R', 'Z', 'A', 'S', 'd'].map(code) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
/** The driver does not store these. */
const notKept: readonly number[] = [N, A, S];

/** Cuts what a server sends into messages, and refuses what a PostgreSQL server does not send, before it is collected.
 *  On its own, `pg-protocol` collects up to 4 GiB for one message, reads for ever in an error that does not end, and lets
 *  a server ask for a password again and again; `pg-copy-streams` never ends with a length below four.
 *  @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
export class ServerFrames {
  readonly #limits: FrameLimits;
  /** The message that is not complete yet. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of a CopyData message that are still to come. They are passed on as they arrive. */
  #copyLeft = 0;
  #ready = false;
  #answerBytes = 0;
  readonly #authentications = new Set<number>();

  constructor(limits: FrameLimits = frameLimits) {
    this.#limits = limits;
  }

  /** Adds what has arrived, and passes on what is complete: whole messages, one or more at a time; only CopyData may come
   *  in parts.
   *  @throws ComputeError `sql` for what goes over a limit, or is not of the protocol, after passing on what came before */
  *push(chunk: Buffer): Generator<Buffer> {
    let rest = chunk;
    if (this.#heldBytes > 0) {
      const completed = this.#complete(chunk);
      if (completed === null) return;
      if (completed.message !== null) yield this.#inspect(completed.message);
      rest = completed.rest;
    }
    let at = 0;
    try {
      for (let length = this.#next(rest, at); length !== null; length = this.#next(rest, at)) {
        const message = rest.subarray(at, at + length);
        const shown = this.#copyLeft > 0 ? this.#copied(message) : this.#inspect(message);
        if (shown === message) at += length;
        else {
          if (at > 0) yield rest.subarray(0, at);
          rest = rest.subarray(at + length);
          at = 0;
          yield shown;
        }
      }
    } catch (error) {
      if (at > 0) yield rest.subarray(0, at);
      throw error;
    }
    if (at > 0) yield rest.subarray(0, at);
    this.#hold(rest.subarray(at));
  }

  /** Ends the message that was held with the beginning of `chunk`; null while it is still incomplete. */
  #complete(chunk: Buffer): { message: Buffer | null; rest: Buffer } | null {
    if (this.#heldBytes < headBytes) {
      const rest = Buffer.concat([...this.#held, chunk]);
      this.#release();
      return { message: null, rest };
    }
    const length = this.#lengthOf(this.#held[0] as Buffer, 0);
    const missing = length - this.#heldBytes;
    if (chunk.length < missing) {
      this.#hold(chunk);
      return null;
    }
    const message = Buffer.concat([...this.#held, chunk.subarray(0, missing)], length);
    this.#release();
    return { message, rest: chunk.subarray(missing) };
  }

  #copied(part: Buffer): Buffer {
    this.#copyLeft -= part.length;
    return part;
  }

  /** How many bytes at `at` may be passed on: those of a message, or of copied data; null when it is incomplete. */
  #next(bytes: Buffer, at: number): number | null {
    const left = bytes.length - at;
    if (left === 0) return null;
    if (this.#copyLeft > 0) return Math.min(this.#copyLeft, left);
    if (left < headBytes) return null;
    const length = this.#lengthOf(bytes, at);
    if (bytes[at] === d) {
      // The head of the message belongs to what is passed on in parts.
      this.#copyLeft = length;
      return Math.min(length, left);
    }
    return left < length ? null : length;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #release(): void {
    [this.#held, this.#heldBytes] = [[], 0];
  }

  /** Bytes of the message that begins at `at`, type and length included. */
  #lengthOf(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at + 1) + 1;
    const limit = this.#ready ? this.#limits.messageBytes : this.#limits.loginBytes;
    if (length < headBytes)
      throw refused('this is not a PostgreSQL server: it sent a message with a wrong length');
    if (length > limit && !this.#ready && isText(bytes, at))
      throw refused(
        `this is not a PostgreSQL server: its answer begins with "${bytes.toString('latin1', at, at + headBytes)}"`,
      );
    if (length > limit)
      throw refused(`the server sent a message of ${length} bytes, more than the limit of ${limit} bytes`);
    return length;
  }

  /** @returns the message to pass on: this one, or a shorter one */
  #inspect(message: Buffer): Buffer {
    const [type] = message;
    if (type === R) this.#authenticate(message);
    if (type === Z) [this.#ready, this.#answerBytes] = [true, 0];
    else if (type !== undefined && !notKept.includes(type)) this.#count(message.length);
    return type === E || type === N ? readable(message) : message;
  }

  #count(bytes: number): void {
    this.#answerBytes += bytes + overheadBytes;
    const { answerBytes } = this.#limits;
    if (this.#answerBytes > answerBytes)
      throw refused(`the server's answer takes more than the limit of ${answerBytes} bytes`);
  }

  /** A server may ask for each step of a login once: each SCRAM proof takes much CPU time. */
  #authenticate(message: Buffer): void {
    const method = message.length < headBytes + 4 ? -1 : message.readInt32BE(headBytes);
    if (!authentications.includes(method))
      throw refused(
        `the server asks for authentication with code ${method}, which this client does not support`,
      );
    if (this.#ready || this.#authentications.has(method))
      throw refused('this is not a PostgreSQL server: it asks for authentication again');
    this.#authentications.add(method);
  }
}

/** Whether the head of a message is text, such as that of an HTTP server. */
const isText = (bytes: Buffer, at: number): boolean =>
  bytes.subarray(at, at + headBytes).every((byte) => byte > 0x20 && byte < 0x7f);

const refused = (why: string): ComputeError => new ComputeError('sql', why);

/** ErrorResponse and NoticeResponse: fields, each a letter and a text up to a NUL, and a NUL after the last.
 *  @see https://www.postgresql.org/docs/current/protocol-error-fields.html */
function readable(message: Buffer): Buffer {
  const body = message.subarray(headBytes);
  if (body.at(-1) !== 0 || (body.length > 1 && body.at(-2) !== 0))
    throw refused('this is not a PostgreSQL server: its error or notice does not end');
  return message.length > maxErrorBytes ? shortened(message) : message;
}

function shortened(message: Buffer): Buffer {
  const fields: Buffer[] = [];
  let bytes = 0;
  for (let at = headBytes; message[at] !== 0 && bytes < maxErrorBytes;) {
    const end = message.indexOf(0, at);
    const field = message.subarray(at, Math.min(end, at + maxErrorFieldBytes));
    fields.push(field, nul);
    bytes += field.length + 1;
    at = end + 1;
  }
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(message[0] as number, 0);
  head.writeUInt32BE(bytes + headBytes, 1);
  return Buffer.concat([head, ...fields, nul]);
}

const nul = Buffer.from([0]);
