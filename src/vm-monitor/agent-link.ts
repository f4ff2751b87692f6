import type { WebSocket } from 'ws';
import { never } from '../core/abort.ts';
import { within } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type MonitorMessage, type Negotiation, formatMessage } from './protocol.ts';

const closeMs = 500;
/** Limit of the messages that are kept before the agent is served, in bytes; the others wait in the socket. */
const maxEarlyBytes = 65_536;
/** Limit of the answers that the agent has not read, in bytes. */
const maxUnsentBytes = 1024 * 1024;

/** One agent's WebSocket: first its hello, then, once there is a listener, its messages in order. */
export class AgentLink {
  /** Resolves when the connection is closed, for any reason. */
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #log: Log;
  readonly #hello: Promise<string>;
  #greet: (text: string) => void = () => {};
  #refuse: (error: ComputeError) => void = () => {};
  readonly #early: string[] = [];
  #earlyBytes = 0;
  #greeted = false;
  #onText: ((text: string) => void) | null = null;

  constructor(socket: WebSocket, log: Log) {
    this.#socket = socket;
    this.#log = log;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#hello = new Promise((resolve, reject) => {
      this.#greet = resolve;
      this.#refuse = reject;
    });
    socket.on('error', (error) => log.info(`the agent's connection failed: ${explained(error)}`));
    socket.on('message', (data, isBinary) => this.#take(data as Buffer, isBinary));
    socket.on('ping', (data) => this.#write(() => socket.pong(data)));
    this.#hello.catch(() => {}); // a later caller of hello() gets the error
  }

  /** The first message. @throws ComputeError `bad_request` when it is not text */
  hello(): Promise<string> {
    return this.#hello;
  }

  /** From now on delivers the messages after the first; those that have already arrived come immediately. */
  listen(onText: (text: string) => void): void {
    this.#onText = onText;
    for (const text of this.#early.splice(0)) onText(text);
    this.#socket.resume();
  }

  answerHello(answer: Exclude<Negotiation, { unreadable: string }>): void {
    this.#socket.send(JSON.stringify(answer));
  }

  send(message: MonitorMessage): void {
    this.#write(() => this.#socket.send(formatMessage(message)));
  }

  /** Closes the connection if the agent no longer reads. */
  #write(write: () => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > maxUnsentBytes) this.#socket.terminate();
    else write();
  }

  /** Sends a close frame and resolves when the connection is closed; the agent has 500 ms to answer.
   *  @param reason truncated to the size of a close frame */
  async close(code: number, reason: string): Promise<void> {
    const short = Buffer.from(reason)
      .subarray(0, 120)
      .toString('utf8')
      .replace(/\uFFFD$/, '');
    this.#socket.resume();
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.close(code, short);
    await within(this.closed, closeMs, never);
    this.#socket.terminate();
    await this.closed;
  }

  #take(data: Buffer, isBinary: boolean): void {
    if (isBinary && this.#greeted) return this.#log.info('ignored a binary message from the agent');
    if (isBinary)
      return this.#refuse(
        new ComputeError('bad_request', "the agent's first message (handshake) must be text, but is binary"),
      );
    const text = data.toString('utf8');
    if (!this.#greeted) {
      this.#greeted = true;
      return this.#greet(text);
    }
    if (this.#onText !== null) return this.#onText(text);
    this.#early.push(text);
    this.#earlyBytes += data.length;
    if (this.#earlyBytes > maxEarlyBytes) this.#socket.pause();
  }
}
