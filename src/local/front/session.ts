import type { Socket } from 'node:net';
import { monotonicMs, withDeadline } from '../../core/clock.ts';
import { Channel } from './channel.ts';
import { checkAsleep } from './check-asleep.ts';
import { connectToPostgres } from './connect.ts';
import { type Startup, readFirst, whoIs } from './first-packet.ts';
import type { House } from './house.ts';
import { openByKey } from './key-log-in.ts';
import { lastWords } from './last-words.ts';
import { Link } from './link.ts';
import { keyToReturn } from './log-in-again.ts';
import { fatal, gone, goneText, goodbye } from './messages.ts';
import { farewell } from './pass.ts';
import { resume } from './resume.ts';
import type { Roster } from './roster.ts';
import type { Snapshot, State } from './session-state.ts';

/** `joining`: not logged in. `detached`: its server process has ended, and its client does not know. */
export type Place = 'joining' | 'open' | 'detached' | 'over';

/** Milliseconds for a log-in; where only Postgres is asked, that has its own limit. */
const checkMs = 30_000;

/** One client, from its first byte to its last. */
export class Session {
  readonly #house: House<Session>;
  readonly #link: Link;
  readonly #over = new AbortController();
  #startup: Startup | null = null;
  #key: Buffer | null = null;
  #snapshot: Snapshot | null = null;
  #found: Snapshot | State | null = null;
  /** It waits for Postgres. */
  #demands = false;
  #place: Place = 'joining';
  #usedMs = monotonicMs();

  constructor(house: House<Session>, socket: Socket) {
    this.#house = house;
    this.#link = new Link(socket, { said: () => this.#used(), lost: () => this.#close() });
    socket.on('error', () => {}).once('close', () => this.#close());
  }

  get place(): Place {
    return this.#place;
  }

  get role(): string {
    return this.#startup?.role ?? '';
  }

  get application(): string {
    return this.#link.talk.parameters.get('application_name') ?? this.#startup?.application ?? '';
  }

  get who(): string {
    return whoIs(this.role, this.#startup?.database ?? '', this.application);
  }

  /** Of `monotonicMs`. */
  get usedMs(): number {
    return this.#usedMs;
  }

  get pid(): number | null {
    return this.#link.pid;
  }

  /** Nothing is under way in either direction. */
  get quiet(): boolean {
    return this.#place === 'open' && this.#link.isQuiet;
  }

  /** Its client has sent something, and is frozen. */
  get isWaiting(): boolean {
    return this.#place === 'open' && this.#link.client.holds;
  }

  get inTransaction(): boolean {
    return this.#link.talk.inTransaction;
  }

  /** Postgres is asking for its password. */
  get isLoggingIn(): boolean {
    return this.#place === 'joining' && this.#link.isServed;
  }

  /** It was checked, and waits for Postgres, or for its session there. */
  get isComing(): boolean {
    return this.#demands;
  }

  /** What it would lose, as far as that was asked since it was last used. */
  get found(): Snapshot | State | null {
    return this.#found;
  }

  keyFor(given: Buffer): Buffer | null {
    return this.#link.keyFor(given);
  }

  /** Serves the client. Resolves when it is on its way, or gone. Never rejects. */
  async serve(): Promise<void> {
    try {
      const first = await this.#limited('the first packet', (signal) =>
        readFirst(this.#link.client, this.#house.encryption, signal),
      );
      if (first.kind === 'cancel') await this.#house.cancel(first.key);
      if (first.kind !== 'startup') return this.#close();
      this.#startup = first.startup;
      // With `db_user_namespace`, which old servers have, they are the same.
      if (first.startup.role.replace(/@$/, '') === this.#house.superuser)
        return this.end('28000', `the role "${first.startup.role}" can log in only through the socket`);
      await this.#join(first.startup);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #join(startup: Startup): Promise<void> {
    await this.#limited('the log-in', (signal) => this.#house.decided(signal));
    const { roster, server: address } = this.#house;
    const { client } = this.#link;
    if (roster === null) {
      const server = new Channel(await connectToPostgres(address, this.#over.signal));
      if (this.#house.isAwake) {
        server.socket.write(startup.raw);
        return this.#serveBy(server, (by) => this.#link.join(by));
      }
      // It has begun to sleep meanwhile.
      server.socket.destroy();
      return this.#join(startup);
    }
    const checked = await this.#limited('the log-in', (signal) =>
      checkAsleep(client, startup, roster, signal),
    );
    if (checked === 'refused') return farewell(client.socket);
    if (checked === 'undecided') {
      await this.#wake();
      this.#demands = false;
      return this.#join(startup);
    }
    this.#key = checked;
    const { server, ok } = await this.#demand(startup, checked);
    client.socket.write(ok);
    this.#serveBy(server, (by) => this.#link.join(by));
  }

  /** Has Postgres started, if need be, and logs in there. */
  async #demand({ raw }: Startup, key: Buffer): Promise<{ readonly server: Channel; readonly ok: Buffer }> {
    await this.#wake();
    const open = (signal: AbortSignal): ReturnType<typeof openByKey> =>
      openByKey(this.#house.server, raw, key, signal);
    return this.#house.logIns.add(() => this.#limited('the log-in', open), this.#over.signal);
  }

  #wake(): Promise<void> {
    this.#demands = true;
    return this.#house.wake(this.who, this.#over.signal);
  }

  #serveBy(server: Channel, join: (server: Channel) => void): void {
    this.#demands = false;
    if (this.#place === 'over') server.socket.destroy();
    else join(server);
  }

  /** Asks, if need be, what the session would lose. */
  async inspect(): Promise<void> {
    if (this.#found !== null || !this.quiet) return;
    try {
      this.#found = await this.#link.inspect(this.role, this.#over.signal);
    } catch {
      // What comes next from there cannot be told apart from an answer to the client.
      this.end(gone, goneText);
    }
  }

  /** Whether its client waits. */
  freeze(isFrozen: boolean): void {
    if (this.#place !== 'open') return;
    if (isFrozen) this.#link.freeze();
    else this.#link.thaw();
  }

  /** Whether its log-in can be repeated. */
  canReturn(roster: Roster): boolean {
    const { exchange } = this.#link.talk;
    const key = keyToReturn({ startup: this.#startup, key: this.#key, exchange }, roster);
    this.#key = key ?? this.#key;
    return key !== null;
  }

  /** Leaves the server process, which ends, and keeps the client. */
  detach(): void {
    const found = this.#found;
    if (found === null || 'holds' in found) return this.end(gone, goneText);
    this.#snapshot = found;
    this.#place = 'detached';
    this.#link.leave();
    void this.#untilDemand().catch((error: unknown) => this.#fail(error));
  }

  end(sqlstate: string, text: string): void {
    this.#close(fatal(sqlstate, text));
  }

  async #untilDemand(): Promise<void> {
    const { client } = this.#link;
    await client.any(this.#over.signal);
    const [snapshot, key, startup] = [this.#snapshot, this.#key, this.#startup];
    if (client.ended || client.firstByte === goodbye) return this.#close();
    if (snapshot === null || key === null || startup === null) return this.end(gone, goneText);
    const { server } = await this.#demand(startup, key);
    const resumed = await resume(server, snapshot, this.#over.signal);
    if (resumed === null) return this.end(gone, goneText);
    this.#serveBy(server, (by) => {
      this.#place = 'open';
      this.#link.rejoin(by, resumed);
    });
  }

  #used(): void {
    if (this.#place === 'joining') this.#place = 'open';
    this.#usedMs = monotonicMs();
    this.#found = null;
    this.#house.used(this);
  }

  #close(lastWords?: Buffer): void {
    if (this.#place === 'over') return;
    this.#place = 'over';
    this.#demands = false;
    this.#link.close(lastWords);
    this.#over.abort();
    this.#house.closed(this);
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    const words = lastWords(error, this.#demands);
    if (words === null) this.#link.client.socket.destroy();
    else this.#close(words);
  }

  readonly #limited = <T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    withDeadline(what, checkMs, this.#over.signal, work);
}
