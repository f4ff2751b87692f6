import type { Socket } from 'node:net';
import { alarm, monotonicMs, withDeadline } from '../../core/clock.ts';
import { codeOf } from '../../core/errors.ts';
import type { Queue } from '../../core/queue.ts';
import { ProtocolError, cstring, message } from '../../wire/messages.ts';
import { Channel, type Packet } from './channel.ts';
import { checkAsleep } from './check-asleep.ts';
import { connectToPostgres } from './connect.ts';
import { Conversation } from './conversation.ts';
import { type Startup, readFirst } from './first-packet.ts';
import { Refused, logInByKey } from './key-log-in.ts';
import { fatal, terminate } from './messages.ts';
import { type Roster, verifierOf } from './roster.ts';
import { clientKeyOf, opens } from './scram.ts';
import { type Snapshot, type State, inspect, restore } from './session-state.ts';

/** What a session needs of the front. */
export interface House {
  /** The socket of Postgres. */
  readonly server: { readonly dir: string; readonly port: number };
  /** Who may log in. Null while Postgres runs, and checks that itself. */
  readonly roster: Roster | null;
  /** The superuser, who can log in only on the socket. */
  readonly superuser: string;
  /** Log-ins of clients that were checked before: a thousand at once would only be in each other's way. */
  readonly logIns: Queue;
  /** Resolves when Postgres runs, which this starts. @throws ComputeError `deadline` */
  wake(who: string, signal: AbortSignal): Promise<void>;
  cancel(key: Buffer): Promise<void>;
  /** A client has logged in, sent something or got an answer. */
  used(session: Session): void;
  closed(session: Session): void;
}

/** `joining`: not logged in. `detached`: its server process has ended, and its client does not know. */
export type Place = 'joining' | 'open' | 'detached' | 'over';

/** Milliseconds for a log-in while Postgres is stopped; Postgres has its own limit. */
const checkMs = 30_000;
/** For Postgres to say what a session would lose, or to give it back. */
const stateMs = 30_000;
/** For the last bytes to a client. */
const farewellMs = 2000;
/** The letter of Terminate. */
const goodbye = 0x58;

export const gone = '57P01';
export const goneText = 'terminating connection due to administrator command';
const notNow = '57P03';

/** One client, from its first byte to its last. */
export class Session {
  readonly talk = new Conversation();
  readonly #house: House;
  readonly #client: Channel;
  readonly #over = new AbortController();
  #server: Channel | null = null;
  #startup: Startup | null = null;
  #key: Buffer | null = null;
  /** The key for cancel requests that the client has: of its first server process. */
  #given: Buffer | null = null;
  #snapshot: Snapshot | null = null;
  #found: Snapshot | State | null = null;
  /** One that is not joined to the client yet. */
  #opening: Channel | null = null;
  #demanded = false;
  #place: Place = 'joining';
  #usedMs = monotonicMs();

  constructor(house: House, socket: Socket) {
    this.#house = house;
    this.#client = new Channel(socket);
    socket.on('error', () => {}).once('close', () => this.#close());
  }

  get place(): Place {
    return this.#place;
  }

  get role(): string {
    return this.#startup?.role ?? '';
  }

  get database(): string {
    return this.#startup?.database ?? '';
  }

  get application(): string {
    return this.talk.parameters.get('application_name') ?? this.#startup?.application ?? '';
  }

  /** Of `monotonicMs`. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /** Its server process; null when there is none. */
  get pid(): number | null {
    return this.#server === null || this.talk.key === null ? null : this.talk.key.readInt32BE(0);
  }

  /** Nothing is under way in either direction. */
  get quiet(): boolean {
    return this.#place === 'open' && this.talk.idle && !this.#client.holds && this.#server?.holds === false;
  }

  /** Postgres is asking for its password. */
  get isLoggingIn(): boolean {
    return this.#place === 'joining' && this.#server !== null;
  }

  /** What it would lose, as far as that was asked since it was last used. */
  get found(): Snapshot | State | null {
    return this.#found;
  }

  /** The key with which Postgres can be asked to cancel what this client does; null when it is not this client's. */
  keyFor(given: Buffer): Buffer | null {
    return this.#given?.equals(given) === true && this.#server !== null ? this.talk.key : null;
  }

  /** Serves the client. Resolves when it is on its way, or gone. Never rejects. */
  async serve(): Promise<void> {
    try {
      const first = await this.#limited('the start of the connection', (signal) =>
        readFirst(this.#client, signal),
      );
      if (first.kind === 'cancel') await this.#house.cancel(first.key);
      if (first.kind !== 'startup') {
        this.#client.socket.destroy();
        return;
      }
      this.#startup = first.startup;
      if (first.startup.role === this.#house.superuser)
        return this.end('28000', `the role "${first.startup.role}" can log in only through the socket`);
      await this.#join(first.startup);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #join(startup: Startup): Promise<void> {
    const { roster } = this.#house;
    if (roster === null) {
      const server = await this.#connect();
      server.socket.write(startup.raw);
      return this.#bridge(server);
    }
    this.#key = await this.#limited('the log-in', (signal) =>
      checkAsleep(this.#client, startup, roster, signal),
    );
    if (this.#key === null) return alarmed(this.#client.socket);
    await this.#wake();
    const [server, ok] = await this.#logIn(startup, this.#key);
    this.#client.socket.write(ok);
    this.#bridge(server);
  }

  /** Logs the client in once more. @returns AuthenticationOk, too */
  #logIn(startup: Startup, key: Buffer): Promise<[Channel, Buffer]> {
    const { signal } = this.#over;
    return this.#house.logIns.add(async () => {
      const server = await this.#connect();
      return [server, await logInByKey(server, startup.raw, key, signal)];
    }, signal);
  }

  /** Asks, if need be, what the session would lose. Its client waits meanwhile. */
  async inspect(): Promise<void> {
    const server = this.#server;
    if (this.#found !== null || server === null || !this.quiet) return;
    this.freeze();
    server.hold();
    try {
      this.#found = await withDeadline('the state of a session', stateMs, this.#over.signal, (signal) =>
        inspect(server, this.talk, this.role, (packet) => this.#aside(packet), signal),
      );
    } catch {
      // What comes next from there cannot be told apart from an answer to the client.
      return this.end(gone, goneText);
    }
    if (this.#place !== 'open') return;
    server.handTo((chunk) => this.#fromServer(server, chunk));
    this.thaw();
  }

  /** Lets the client wait. */
  freeze(): void {
    if (this.#place === 'open') this.#client.hold();
  }

  thaw(): void {
    const server = this.#server;
    if (this.#place === 'open' && server !== null)
      this.#client.handTo((chunk) => this.#fromClient(server, chunk));
  }

  /** Whether its log-in can be repeated. */
  canReturn(roster: Roster): boolean {
    const verifier = verifierOf(roster, this.role, Date.now());
    const { exchange } = this.talk;
    if (verifier === null) return false;
    // The key that it has may be that of an earlier password.
    if (this.#key === null && exchange !== null) this.#key = clientKeyOf(exchange, verifier);
    return this.#key !== null && opens(this.#key, verifier);
  }

  /** Leaves the server process, which ends, and keeps the client. */
  detach(): void {
    const [server, found] = [this.#server, this.#found];
    if (server === null || found === null || 'holds' in found) return this.end(gone, goneText);
    this.#snapshot = found;
    this.#place = 'detached';
    this.#server = null;
    server.hold();
    server.socket.end(terminate());
    void this.#untilDemand().catch((error: unknown) => this.#fail(error));
  }

  /** Ends it with an error. */
  end(sqlstate: string, text: string): void {
    if (this.#place === 'over') return;
    this.#client.socket.end(fatal(sqlstate, text));
    alarmed(this.#client.socket);
    this.#close();
  }

  async #untilDemand(): Promise<void> {
    await this.#client.any(this.#over.signal);
    if (this.#client.ended || this.#client.firstByte === goodbye) {
      this.#client.socket.destroy();
      return;
    }
    await this.#wake();
    const [snapshot, key, startup] = [this.#snapshot, this.#key, this.#startup];
    if (snapshot === null || key === null || startup === null) return this.end(gone, goneText);
    const { signal } = this.#over;
    const [server] = await this.#logIn(startup, key);
    const parameters = new Map<string, string>();
    const aside = ({ type, body }: Packet): void => {
      if (type !== 'S') return;
      const [name = '', value = ''] = body.toString('utf8').split('\0');
      parameters.set(name, value);
    };
    await this.#untilReady(server, aside);
    const isWhole = await withDeadline('the state of a session', stateMs, signal, (limited) =>
      restore(server, snapshot, aside, limited),
    );
    if (!isWhole) {
      server.socket.destroy();
      return this.end(gone, goneText);
    }
    for (const [name, value] of parameters) this.#tell(name, value);
    this.#bridge(server);
  }

  /** Reads what follows AuthenticationOk, which the client had from its first server process. */
  async #untilReady(server: Channel, aside: (packet: Packet) => void): Promise<void> {
    for (;;) {
      const packet = await server.next(false, this.#over.signal);
      if (packet === null) throw new ProtocolError('end of the log-in');
      if (packet.type === 'E') throw new Refused(packet.raw);
      if (packet.type === 'K') this.talk.key = Buffer.from(packet.body);
      if (packet.type === 'Z') return;
      aside(packet);
    }
  }

  /** Tells the client of a parameter that is not what it was. */
  #tell(name: string, value: string): void {
    if (this.talk.parameters.get(name) === value) return;
    this.talk.parameters.set(name, value);
    this.#client.socket.write(message('S', cstring(name), cstring(value)));
  }

  #aside({ type, raw }: Packet): void {
    if (type === 'S') this.talk.fromServer.push(raw);
    if (type === 'S' || type === 'A') this.#client.socket.write(raw);
  }

  async #connect(): Promise<Channel> {
    const server = new Channel(await connectToPostgres(this.#house.server, this.#over.signal));
    this.#opening = server;
    if (this.#place === 'over') server.socket.destroy();
    return server;
  }

  async #wake(): Promise<void> {
    this.#demanded = true;
    await this.#house.wake(this.who, this.#over.signal);
  }

  #bridge(server: Channel): void {
    this.#opening = null;
    if (this.#place === 'over') {
      server.socket.destroy();
      return;
    }
    this.#server = server;
    server.socket.once('close', () => {
      // As Postgres does it, what it said last still arrives.
      if (this.#server === server) this.#lose();
    });
    if (this.#place === 'detached') this.#place = 'open';
    server.handTo((chunk) => this.#fromServer(server, chunk));
    this.#client.handTo((chunk) => this.#fromClient(server, chunk));
    if (server.ended) this.#lose();
  }

  #fromClient(server: Channel, chunk: Buffer): void {
    this.talk.fromClient.push(chunk);
    if (this.#place === 'open') this.#used();
    pass(chunk, this.#client.socket, server.socket);
  }

  #fromServer(server: Channel, chunk: Buffer): void {
    this.talk.fromServer.push(chunk);
    if (this.talk.loggedIn) {
      if (this.#place === 'joining') this.#place = 'open';
      this.#given ??= this.talk.key;
      this.#used();
    }
    pass(chunk, server.socket, this.#client.socket);
  }

  #used(): void {
    this.#usedMs = monotonicMs();
    this.#found = null;
    this.#house.used(this);
  }

  get who(): string {
    const { role, database, application } = this;
    const what = application === '' ? '' : ` (application ${JSON.stringify(application)})`;
    return `role ${JSON.stringify(role)} in database ${JSON.stringify(database)}${what}`;
  }

  #lose(): void {
    this.#client.socket.end();
    alarmed(this.#client.socket);
    this.#close();
  }

  #close(): void {
    if (this.#place === 'over') return;
    this.#place = 'over';
    this.#opening?.socket.destroy();
    // What the client said last still arrives; nothing more is read.
    this.#server?.socket.destroySoon();
    this.#over.abort();
    this.#house.closed(this);
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    if (error instanceof Refused) {
      this.#client.socket.end(error.raw);
      this.#lose();
    } else if (error instanceof ProtocolError) this.end('08P01', error.message);
    else if (codeOf(error) === 'deadline' && !this.#demanded) this.#client.socket.destroy();
    else this.end(notNow, 'the database system is starting up');
  }

  #limited<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(what, checkMs, this.#over.signal, work);
  }
}

/** Passes bytes on, as fast as they are read. */
function pass(chunk: Buffer, from: Socket, to: Socket): void {
  if (to.destroyed || to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}

/** A client may never read its last bytes. */
function alarmed(socket: Socket): void {
  const cancel = alarm(farewellMs, () => socket.destroy());
  socket.once('close', cancel);
}
