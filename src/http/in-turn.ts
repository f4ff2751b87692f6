import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { mostWaiting } from './limits.ts';

export type Serve = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Serves the requests of each connection one at a time: the next one when the client has taken the answer to the one before
 *  it. Node would hand over all that a client sends without reading, and keep every answer in memory. */
export function inTurn(serve: Serve): Serve {
  const connections = new WeakMap<Socket, Connection>();
  return (incoming, outgoing) => {
    let connection = connections.get(incoming.socket);
    if (connection === undefined) {
      connection = new Connection(incoming.socket, serve);
      connections.set(incoming.socket, connection);
    }
    connection.add(incoming, outgoing);
  };
}

class Connection {
  readonly #socket: Socket;
  readonly #serve: Serve;
  #busy = false;
  #waiting: { incoming: IncomingMessage; outgoing: ServerResponse }[] = [];
  #watched = false;

  constructor(socket: Socket, serve: Serve) {
    this.#socket = socket;
    this.#serve = serve;
  }

  add(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (!this.#busy) {
      this.#begin(incoming, outgoing);
      return;
    }
    this.#waiting.push({ incoming, outgoing });
    this.#pauseWhenFull();
  }

  #begin(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.#busy = true;
    outgoing.once('close', () => this.#next());
    // Nothing was sent or received for a while. That is no fault as long as the answer is worked on.
    outgoing.on('timeout', (socket: Socket) => {
      // With an error: without one, Node would count the answer as sent.
      if (socket.writableLength > 0) outgoing.destroy(new Error('the client does not take its answer'));
    });
    this.#serve(incoming, outgoing);
  }

  #next(): void {
    this.#busy = false;
    if (this.#socket.destroyed) this.#waiting = [];
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#begin(next.incoming, next.outgoing);
    if (this.#waiting.length === mostWaiting) this.#socket.resume();
  }

  /** Node resumes the connection for reasons of its own, such as a request whose body was read. */
  #pauseWhenFull(): void {
    if (this.#waiting.length <= mostWaiting) return;
    this.#socket.pause();
    if (this.#watched) return;
    this.#watched = true;
    this.#socket.on('resume', () => {
      if (this.#waiting.length > mostWaiting) this.#socket.pause();
    });
  }
}
