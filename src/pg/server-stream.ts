import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type FrameLimits, ServerFrames } from './server-frames.ts';
import { startupWith } from './raw-name.ts';
import { openSocket } from './socket.ts';
import type { PgTarget } from './target.ts';

/** The driver's connection to a server, in place of a socket: encrypted as the target says, and with whole messages only,
 *  which `ServerFrames` has checked. What the driver throws at one of them ends the connection, not the process. */
export class ServerStream extends Duplex {
  readonly #target: PgTarget;
  readonly #frames: ServerFrames;
  readonly #over = new AbortController();
  #socket: Socket | null = null;
  /** True once the server has closed its side. */
  #ended = false;
  /** For the first message: a name of the database that the driver, which writes UTF-8, cannot send. */
  #database: Buffer | null;

  constructor(target: PgTarget, limits?: FrameLimits, database: Buffer | null = null) {
    super({ allowHalfOpen: false });
    this.#database = database;
    this.#frames = new ServerFrames(limits);
    this.#target = target;
  }

  /** Called by the driver. Emits `connect` or `error`. */
  connect(): this {
    openSocket(this.#target, this.#over.signal).then(
      (socket) => this.#opened(socket),
      (error: Error) => this.destroy(error),
    );
    return this;
  }

  /** Set by `openSocket`; here because the driver asks for it. */
  setNoDelay(): this {
    return this;
  }

  /** Listeners of `data` and `readable` parse what the server sent: the driver's, and that of a copy. */
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event !== 'data' && event !== 'readable') return super.emit(event, ...values);
    try {
      return super.emit(event, ...values);
    } catch (error) {
      this.destroy(error as Error);
      return true;
    }
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    // After the server has closed the connection, a write cannot arrive; the end is reported anyway.
    if (this.#ended || this.#socket === null) return done();
    const message = this.#database === null ? bytes : startupWith(bytes, this.#database);
    this.#database = null;
    this.#socket.write(message, done);
  }

  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), 'buffer' as BufferEncoding, done);
  }

  override _final(done: () => void): void {
    if (this.#socket === null || this.#ended) done();
    else this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#over.abort(error ?? new Error('the connection was closed'));
    this.#socket?.destroy();
    done(error);
  }

  #opened(socket: Socket): void {
    this.#socket = socket;
    socket
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('end', () => {
        this.#ended = true;
        this.push(null);
      })
      .on('error', (error) => this.#lost(error))
      .on('close', () => this.#lost());
    if (this.destroyed) socket.destroy();
    else this.emit('connect');
  }

  /** After a proper end the reader still gets what has arrived. */
  #lost(error?: Error): void {
    if (!this.#ended) this.destroy(error);
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    try {
      for (const messages of this.#frames.push(chunk)) if (!this.push(messages)) this.#socket?.pause();
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
