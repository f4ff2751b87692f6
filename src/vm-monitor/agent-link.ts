import type { WebSocket } from 'ws';
import { never } from '../core/abort.ts';
import { within } from '../core/clock.ts';
import { ComputeError, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type MonitorMessage, type Negotiation, formatMessage } from './protocol.ts';

const closeMs = 500;
/** Limit of messages that are kept before the agent is served; a correct agent sends fewer. */
const maxEarly = 16;
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
    socket.on('error', (error) => log.info(`the agent's connection failed: ${inline(error)}`));
    socket.on('message', (data, isBinary) => this.#take(data as Buffer, isBinary));
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
  }

  answerHello(answer: Exclude<Negotiation, { unreadable: string }>): void {
    this.#socket.send(JSON.stringify(answer));
  }

  /** Closes the connection if the agent no longer reads. */
  send(message: MonitorMessage): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > maxUnsentBytes) this.#socket.terminate();
    else this.#socket.send(formatMessage(message));
  }

  /** Sends a close frame and resolves when the connection is closed; the agent has 500 ms to answer.
   *  @param reason truncated to the size of a close frame */
  async close(code: number, reason: string): Promise<void> {
    const short = Buffer.from(reason)
      .subarray(0, 120)
      .toString('utf8')
      .replace(/\uFFFD$/, '');
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
    if (this.#early.length > maxEarly) this.#socket.terminate();
  }
}
