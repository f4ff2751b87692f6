import { once } from 'node:events';
import type { Socket } from 'node:net';
import { withDeadline } from '../core/clock.ts';
import * as wire from './messages.ts';

/** One logged-in client, through which a query handler answers. Answers are awaited, so a slow client slows the handler. */
export class WireSession {
  /** The start-up parameters, e.g. `user`, `database`, `options`. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Aborts when the client has disconnected or the server closes. */
  readonly signal: AbortSignal;
  readonly #socket: Socket;
  readonly #stallMs: number;
  #answered = false;
  #failed = false;
  #extended = false;

  constructor(socket: Socket, parameters: ReadonlyMap<string, string>, stallMs: number, signal: AbortSignal) {
    this.#socket = socket;
    this.#stallMs = stallMs;
    this.parameters = parameters;
    this.signal = signal;
  }

  /** A result with text columns; null is SQL's NULL. */
  async rows(
    columns: readonly string[],
    rows: readonly (readonly (string | null)[])[],
    tag: string,
  ): Promise<void> {
    this.#answered = true;
    // In the extended protocol the columns are the answer to Describe; they are not repeated here.
    if (!this.#extended) await this.send(wire.rowDescription(columns));
    for (const row of rows) await this.send(wire.dataRow(row));
    await this.send(wire.commandComplete(tag));
  }

  /** Streams `source` to the client, only as fast as the client reads. An error from `source` is sent to the client in the
   *  middle of the copy, as pageservers do. */
  async copyOut(source: AsyncIterable<Buffer>, tag: string): Promise<void> {
    this.#answered = true;
    await this.send(wire.copyOutResponse());
    for await (const chunk of source) await this.copyData(chunk);
    await this.send(wire.copyDone());
    await this.send(wire.commandComplete(tag));
  }

  async copyData(chunk: Buffer): Promise<void> {
    this.#socket.write(wire.copyDataHeader(chunk.length));
    await this.send(chunk);
  }

  /** A command without a result. */
  async complete(tag: string): Promise<void> {
    this.#answered = true;
    await this.send(wire.commandComplete(tag));
  }

  /** Same as throwing a `WireError`, for handlers that continue afterwards. */
  async error(sqlstate: string, text: string): Promise<void> {
    this.#failed = true;
    await this.send(wire.errorResponse(sqlstate, text));
  }

  /** Sends bytes unchanged; resolves when the socket can take more.
   *  @throws AbortError when the client has disconnected, ComputeError `deadline` when it does not read */
  async send(bytes: Buffer): Promise<void> {
    this.signal.throwIfAborted();
    this.#answered = true;
    if (this.#socket.write(bytes)) return;
    try {
      await withDeadline('the client reading its answer', this.#stallMs, this.signal, async (signal) => {
        if (this.#socket.writableNeedDrain) await once(this.#socket, 'drain', { signal });
      });
    } catch (error) {
      this.cut();
      throw error;
    }
  }

  /** Ends only our direction; the client can still send. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Closes the socket at once, without a message. */
  cut(): void {
    this.#socket.destroy();
  }

  /** Called by the connection at the beginning of each statement. */
  begin(extended: boolean): void {
    this.#answered = false;
    this.#failed = false;
    this.#extended = extended;
  }

  /** True when something was sent since `begin`. */
  get answered(): boolean {
    return this.#answered;
  }

  /** True when an ErrorResponse was sent since `begin`. */
  get failed(): boolean {
    return this.#failed;
  }
}
