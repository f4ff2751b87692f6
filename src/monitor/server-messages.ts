import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import type { Parser } from 'pg-protocol/dist/parser.js';

/** A server that answers a login or `SELECT 1` with a larger message is not a PostgreSQL server. */
const limitBytes = 65_536;

/** Splits the server's data into messages and parses them with `pg-protocol`, which gets only whole messages: without
 *  this it would buffer up to 4 GiB for one message, and never return for an error without an end. */
export class ServerMessages {
  readonly #parser: Parser;
  readonly #take: (message: BackendMessage) => void;
  #received: Buffer = Buffer.alloc(0);

  /** @param take gets each message, in order */
  constructor(parser: Parser, take: (message: BackendMessage) => void) {
    [this.#parser, this.#take] = [parser, take];
  }

  /** @throws Error for data that a PostgreSQL server does not send, and any error that `take` throws */
  push(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (let length = frame(bytes); length !== null; length = frame(bytes)) {
      this.#parser.parse(bytes.subarray(0, length), this.#take);
      bytes = bytes.subarray(length);
    }
    this.#received = bytes;
  }
}

/** Length of the first message, type and length included; null while it is incomplete. */
function frame(bytes: Buffer): number | null {
  if (bytes.length < 5) return null;
  const length = bytes.readUInt32BE(1) + 1;
  if (length < 5 || length > limitBytes) throw new Error('not a PostgreSQL server');
  if (bytes.length < length) return null;
  if (hasFields(bytes) && !fieldsEnd(bytes.subarray(5, length)))
    throw new Error('not a PostgreSQL server: its error or notice does not end');
  return length;
}

/** ErrorResponse and NoticeResponse. @see https://www.postgresql.org/docs/current/protocol-error-fields.html */
const hasFields = (bytes: Buffer): boolean => bytes[0] === 0x45 || bytes[0] === 0x4e;

/** The NUL of the last field and the one after it, or the latter alone. */
const fieldsEnd = (body: Buffer): boolean => body.at(-1) === 0 && (body.length === 1 || body.at(-2) === 0);
