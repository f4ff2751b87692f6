import type { Socket } from 'node:net';
import { alarm, withDeadline } from '../../core/clock.ts';
import { cstring, message } from '../../wire/messages.ts';
import { Channel, type Packet, clientBytes } from './channel.ts';
import { Conversation } from './conversation.ts';
import { terminate } from './messages.ts';
import { farewell, pass } from './pass.ts';
import { type Resumed, stateMs } from './resume.ts';
import { type Snapshot, type State, inspect } from './session-state.ts';

export interface LinkListener {
  /** Something was said, in either direction, by a client that has logged in. */
  said(): void;
  /** Postgres has closed the connection. */
  lost(): void;
}

/** The sockets of one client: its own, and that of the server process that serves it, if there is one. */
export class Link {
  readonly talk = new Conversation();
  readonly client: Channel;
  readonly #listener: LinkListener;
  #server: Channel | null = null;
  #isFrozen = false;
  /** The key for cancel requests that the client has: of its first server process. */
  #given: Buffer | null = null;

  constructor(socket: Socket, listener: LinkListener) {
    this.client = new Channel(socket, clientBytes);
    this.#listener = listener;
  }

  get isServed(): boolean {
    return this.#server !== null;
  }

  /** The server process; null when there is none. */
  get pid(): number | null {
    return this.#server === null || this.talk.key === null ? null : this.talk.key.readInt32BE(0);
  }

  /** Nothing is under way in either direction. What a client has sent that waits is not under way yet; what it was sent and does not
   *  take is, since nothing else is read from Postgres meanwhile. */
  get isQuiet(): boolean {
    return this.talk.idle && this.#server?.holds === false && this.client.socket.writableLength === 0;
  }

  /** The key with which Postgres can be asked to cancel what this client does; null when it is not this client's. */
  keyFor(given: Buffer): Buffer | null {
    return this.#given?.equals(given) === true && this.#server !== null ? this.talk.key : null;
  }

  /** Passes everything on between the client and a server process. */
  join(server: Channel): void {
    this.#server = server;
    server.socket.once('close', () => {
      // As Postgres does it, what it said last still arrives.
      if (this.#server === server) this.#listener.lost();
    });
    server.handTo((chunk) => this.#fromServer(server, chunk));
    this.thaw();
    if (server.ended) this.#listener.lost();
  }

  /** Lets the client wait. */
  freeze(): void {
    this.#isFrozen = true;
    this.client.hold();
  }

  thaw(): void {
    const server = this.#server;
    this.#isFrozen = false;
    if (server !== null) this.client.handTo((chunk) => this.#fromClient(server, chunk));
  }

  /** Asks Postgres, through this connection, what the session would lose. It must be quiet; its client waits meanwhile.
   *  @throws when there is no answer: the connection cannot be used any more */
  async inspect(role: string, signal: AbortSignal): Promise<Snapshot | State> {
    const server = this.#server;
    if (server === null) throw new Error('there is no server process');
    this.client.hold();
    server.hold();
    const aside = (packet: Packet): void => this.#aside(packet);
    const found = await withDeadline('the state of a session', stateMs, signal, (limited) =>
      inspect(server, this.talk, role, aside, limited),
    );
    server.handTo((chunk) => this.#fromServer(server, chunk));
    if (!this.#isFrozen) this.thaw();
    return found;
  }

  /** Leaves the server process, which ends. The client waits. */
  leave(): void {
    const server = this.#server;
    this.#server = null;
    server?.hold();
    server?.socket.end(terminate());
    if (server !== null) endSoon(server.socket);
  }

  /** Goes on with a new server process, and tells the client of parameters that are not what they were. */
  rejoin(server: Channel, { key, parameters }: Resumed): void {
    this.talk.key = key;
    for (const [name, value] of parameters) {
      if (this.talk.parameters.get(name) === value) continue;
      this.talk.parameters.set(name, value);
      this.client.socket.write(message('S', cstring(name), cstring(value)));
    }
    this.join(server);
  }

  /** Closes both sides. @param lastWords for the client */
  close(lastWords?: Buffer): void {
    farewell(this.client.socket, lastWords);
    // What the client said last still arrives; nothing more is read.
    const server = this.#server?.socket;
    server?.destroySoon();
    if (server !== undefined) endSoon(server);
  }

  #aside({ type, raw }: Packet): void {
    if (type === 'S') this.talk.fromServer.push(raw);
    if (type === 'S' || type === 'A') this.client.socket.write(raw);
  }

  #fromClient(server: Channel, chunk: Buffer): void {
    this.talk.fromClient.push(chunk);
    if (this.talk.loggedIn) this.#listener.said();
    pass(chunk, this.client.socket, server.socket);
  }

  #fromServer(server: Channel, chunk: Buffer): void {
    this.talk.fromServer.push(chunk);
    if (this.talk.loggedIn) {
      this.#given ??= this.talk.key;
      this.#listener.said();
    }
    pass(chunk, server.socket, this.client.socket);
  }
}

/** For the last bytes to a server process, which may be waiting for a client to read. */
const endMs = 2000;

function endSoon(server: Socket): void {
  const cancel = alarm(endMs, () => server.destroy());
  server.once('close', cancel);
}
