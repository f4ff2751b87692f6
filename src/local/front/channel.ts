import type { Socket } from 'node:net';
import { raceAbort } from '../../core/clock.ts';
import { ProtocolError } from '../../wire/messages.ts';

/** One message with all its bytes; `type` is empty for those before the log-in, which have no letter. */
export interface Packet {
  readonly type: string;
  readonly raw: Buffer;
  /** The bytes after the length. */
  readonly body: Buffer;
}

/** Of a packet before the log-in, as PostgreSQL limits it. */
const startupBytes = 10_000;
/** Of one message while messages are read one by one: the log-in, and what the front asks itself. */
const messageBytes = 256 * 1024;

/** Held of a client that waits, or has not logged in: its first packet fits. */
export const clientBytes = startupBytes;

/** A socket that is read message by message, until its bytes are handed on as they come. */
export class Channel {
  #socket: Socket;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #consumer: ((chunk: Buffer) => void) | null = null;
  #ended = false;
  #wake: () => void = () => {};
  readonly #mostHeld: number;

  /** @param mostHeld bytes; with more, nothing is read until some are taken. No message that is read one by one may be longer */
  constructor(socket: Socket, mostHeld = messageBytes) {
    this.#socket = socket;
    this.#mostHeld = mostHeld;
    this.#listen();
  }

  /** What its messages are read from and written to. */
  get socket(): Socket {
    return this.#socket;
  }

  /** From now on messages come and go inside of what `wrap` makes of the socket. What is held is for it. */
  encrypt<S extends Socket>(wrap: (socket: Socket) => S): S {
    const plain = this.#socket;
    plain.removeListener('data', this.#onData).removeListener('end', this.#onEnd).pause();
    const held = Buffer.concat(this.#held);
    [this.#held, this.#heldBytes] = [[], 0];
    if (held.length > 0) plain.unshift(held);
    const encrypted = wrap(plain);
    this.#socket = encrypted;
    this.#listen();
    return encrypted;
  }

  #listen(): void {
    this.#socket.on('error', () => {}).on('data', this.#onData);
    this.#socket.once('end', this.#onEnd).once('close', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => this.#take(chunk);

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake();
  };

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether bytes have come that nobody has taken. */
  get holds(): boolean {
    return this.#heldBytes > 0;
  }

  /** The first byte that is held; null when there is none. */
  get firstByte(): number | null {
    return this.#held[0]?.[0] ?? null;
  }

  /** The next message; null when the other side has disconnected.
   *  @param mostBytes of a message with a type
   *  @param untyped true until the start-up packet has been read
   *  @throws ProtocolError; AbortError of `signal` */
  async next(untyped: boolean, signal: AbortSignal, mostBytes = messageBytes): Promise<Packet | null> {
    for (;;) {
      signal.throwIfAborted();
      const packet = this.#packet(untyped, mostBytes);
      if (packet !== null) return packet;
      if (this.#ended) return null;
      await raceAbort(new Promise<void>((resolve) => (this.#wake = resolve)), signal);
    }
  }

  /** Resolves as soon as bytes are held or the other side has disconnected. */
  async any(signal: AbortSignal): Promise<void> {
    while (!this.holds && !this.#ended)
      await raceAbort(new Promise<void>((resolve) => (this.#wake = resolve)), signal);
  }

  /** From now on every chunk goes to `consumer`, what is held first. */
  handTo(consumer: (chunk: Buffer) => void): void {
    this.#consumer = consumer;
    const held = this.#held;
    [this.#held, this.#heldBytes] = [[], 0];
    for (const chunk of held) this.#take(chunk);
    this.#socket.resume();
  }

  /** From now on bytes are held. */
  hold(): void {
    this.#consumer = null;
  }

  #take(chunk: Buffer): void {
    if (this.#consumer !== null) return this.#consumer(chunk);
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > this.#mostHeld) this.#socket.pause();
    this.#wake();
  }

  #packet(untyped: boolean, mostBytes: number): Packet | null {
    const headBytes = untyped ? 4 : 5;
    if (this.#heldBytes < headBytes) return null;
    const bytes = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    const length = bytes.readUInt32BE(headBytes - 4);
    const limit = untyped ? startupBytes : mostBytes;
    if (length < (untyped ? 8 : 4) || length > limit) throw new ProtocolError(`message of ${length} bytes`);
    const total = headBytes - 4 + length;
    const whole = bytes.length >= total;
    const rest = whole ? bytes.subarray(total) : bytes;
    [this.#held, this.#heldBytes] = [rest.length === 0 ? [] : [rest], rest.length];
    if (this.#heldBytes <= this.#mostHeld && this.#socket.isPaused()) this.#socket.resume();
    if (!whole) return null;
    const type = untyped ? '' : String.fromCharCode(bytes[0] as number);
    return { type, raw: bytes.subarray(0, total), body: bytes.subarray(headBytes, total) };
  }
}
