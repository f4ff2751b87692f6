import type { Socket } from 'node:net';
import { raceAbort } from '../core/clock.ts';
import { type Frame, FrameReader } from './frames.ts';

/** One client's messages, one at a time. It reads ahead, to notice that a client disconnects in the middle of a long
 *  answer. When more than one largest message is buffered, it stops reading. */
export class Inbox {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #limit: number;
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
    this.#reader = new FrameReader(limit);
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      if (this.#reader.held > limit) socket.pause();
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.once('end', end).once('close', end);
  }

  /** The next message; null when the client has disconnected.
   *  @param untyped true until the start-up packet has been read
   *  @throws ProtocolError; AbortError of `signal` */
  async next(untyped: boolean, signal: AbortSignal): Promise<Frame | null> {
    for (;;) {
      signal.throwIfAborted();
      const frame = this.#reader.next(untyped);
      if (this.#reader.held <= this.#limit && this.#socket.isPaused()) this.#socket.resume();
      if (frame !== null) return frame;
      if (this.#ended) return null;
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await raceAbort(more, signal);
    }
  }
}
