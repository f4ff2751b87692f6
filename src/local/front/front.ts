import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { never } from '../../core/abort.ts';
import { raceAbort, withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { Queue } from '../../core/queue.ts';
import { openFilesLimit } from '../../process/proc.ts';
import { sendCancel } from './connect.ts';
import type { Encryption } from './encryption.ts';
import type { FrontOptions } from './options.ts';
import type { Client } from './ignored.ts';
import { gone, goneText } from './messages.ts';
import { turnAway } from './pass.ts';
import type { Roster } from './roster.ts';
import type { House } from './house.ts';
import { Session } from './session.ts';
import { Usage } from './usage.ts';

/** `down`: there is no Postgres yet, or no more. `closing`: whether it is stopped is being decided. `asleep`: clients are checked here. */
type Mode = 'down' | 'awake' | 'closing' | 'asleep';

const defaultWakeMs = 60_000;
/** Clients that have not logged in; with one more, the oldest of them makes room. */
const mostJoining = 2000;
const logInsAtOnce = 32;
const cancelsAtOnce = 16;
/** For the last bytes to all clients. */
const closeMs = 10_000;
/** Two files for each: the client's and the server's; half of them is left for everything else. */
const mostSessions = Math.floor(openFilesLimit() / 4);
/** With those that are being turned away; the system's own way to refuse is for more. */
const mostSockets = mostSessions + Math.floor(openFilesLimit() / 8);

/** Listens in place of Postgres, and passes every client on to it. */
export class Front implements House<Session> {
  readonly server: FrontOptions['server'];
  readonly superuser: string;
  readonly encryption: Encryption | null;
  readonly usage = new Usage();
  readonly logIns = new Queue(logInsAtOnce);
  readonly #cancels = new Queue(cancelsAtOnce);
  readonly #options: FrontOptions;
  readonly #listener: Server;
  readonly #sessions = new Set<Session>();
  #mode: Mode = 'down';
  #roster: Roster | null = null;
  #ready = Promise.withResolvers<void>();
  #decided = Promise.withResolvers<void>();
  #demand = Promise.withResolvers<string>();
  #isDemanded = false;
  #hopeless = hopeless();
  #ended = 0;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.server = options.server;
    this.superuser = options.superuser;
    this.encryption = options.encryption ?? null;
    this.#listener = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
    this.#listener.maxConnections = mostSockets;
    this.#ready.promise.catch(() => {});
  }

  /** @throws ComputeError `port` */
  async listen(): Promise<void> {
    const { host, port } = this.#options;
    try {
      this.#listener.listen({ port, ...(host !== null && { host }) });
      await once(this.#listener, 'listening');
    } catch (cause) {
      throw new ComputeError('port', `cannot listen on port ${port}, which is for Postgres`, {
        cause,
        hint: 'find the program that uses the port (ss -ltnp) and stop it, or choose another one with --port',
      });
    }
    this.#listener.on('error', () => {});
  }

  /** Ends all sessions and stops listening. */
  async close(): Promise<void> {
    this.#mode = 'down';
    const closed = this.#listener.listening ? once(this.#listener, 'close') : null;
    this.#listener.close();
    for (const session of this.#sessions) session.end(gone, goneText);
    if (closed !== null) await withDeadline('closing the connections', closeMs, never, () => closed);
  }

  /** Whether somebody wants to be served since `shut`. */
  get isDemanded(): boolean {
    return this.#isDemanded;
  }

  get isAwake(): boolean {
    return this.#mode === 'awake';
  }

  get roster(): Roster | null {
    return this.#roster;
  }

  /** Those whose clients have logged in. */
  get sessions(): Session[] {
    return [...this.#sessions].filter(
      ({ place, isComing }) => place === 'open' || place === 'detached' || isComing,
    );
  }

  get joining(): Session[] {
    return [...this.#sessions].filter(({ place }) => place === 'joining');
  }

  isIgnored(client: Client): boolean {
    return this.#options.ignored(client);
  }

  /** Postgres runs. */
  open(): void {
    if (this.#mode === 'awake') return;
    this.#mode = 'awake';
    this.#roster = null;
    this.usage.byNamed('');
    this.#ready.resolve();
  }

  /** From now on clients wait, until `shut` or `reopen`. */
  pause(): void {
    this.#mode = 'closing';
    this.#ready = Promise.withResolvers();
    this.#decided = Promise.withResolvers();
    this.#demand = Promise.withResolvers();
    this.#isDemanded = false;
    for (const session of this.#sessions) session.freeze(true);
  }

  /** From now on clients are checked here. */
  shut(roster: Roster): void {
    if (this.#mode !== 'closing') this.pause();
    this.#mode = 'asleep';
    this.#roster = roster;
    this.#decided.resolve();
  }

  /** Postgres was not stopped after all. */
  reopen(): void {
    this.#mode = 'awake';
    this.#roster = null;
    this.#ready.resolve();
    this.#decided.resolve();
    for (const session of this.#sessions) session.freeze(false);
  }

  /** Resolves with who wants to be served, since `shut`. */
  demanded(signal: AbortSignal): Promise<string> {
    return raceAbort(this.#demand.promise, signal);
  }

  /** Resolves once it is known whether Postgres goes on. */
  async decided(signal: AbortSignal): Promise<void> {
    if (this.#mode === 'closing') await raceAbort(this.#decided.promise, signal);
  }

  async wake(who: string, signal: AbortSignal): Promise<void> {
    if (this.#mode === 'awake') return;
    this.#isDemanded = true;
    this.#demand.resolve(who);
    const { wakeMs = defaultWakeMs } = this.#options;
    const started = Promise.race([this.#ready.promise, this.#hopeless.promise]);
    await withDeadline('the start of Postgres', wakeMs, signal, () => started);
  }

  /** Tells those who wait why Postgres cannot be started now. Who comes next waits again. */
  giveUp(why: ComputeError): void {
    const { reject } = this.#hopeless;
    this.#hopeless = hopeless();
    reject(why);
  }

  async cancel(key: Buffer): Promise<void> {
    // Other keys than those of its sessions nobody can have from here: Postgres need not start a process for them.
    const current = [...this.#sessions].map((session) => session.keyFor(key)).find((each) => each !== null);
    if (current === undefined || current === null) return;
    // Whether it could be passed on is never said.
    await this.#cancels.add(() => sendCancel(this.server, current), never).catch(() => {});
  }

  used(session: Session): void {
    if (this.isIgnored(session)) this.usage.ignored(session);
    else this.usage.by(session);
  }

  closed(session: Session): void {
    this.#sessions.delete(session);
    this.usage.left(session);
  }

  /** Sessions that were ended because Postgres was stopped. */
  get ended(): number {
    return this.#ended;
  }

  countEnded(sessions: number): void {
    this.#ended += sessions;
  }

  /** Ends a session that Postgres's stop does not leave. */
  endCounted(session: Session): void {
    this.countEnded(1);
    session.end(gone, goneText);
  }

  #accept(socket: Socket): void {
    if (this.#mode === 'down') return turnAway(socket, '57P03', 'the database system is starting up');
    if (this.#sessions.size >= mostSessions)
      return turnAway(socket, '53300', 'sorry, too many clients already');
    const session = new Session(this, socket);
    this.#sessions.add(session);
    this.#makeRoom();
    void session.serve();
  }

  #makeRoom(): void {
    if (this.#sessions.size <= mostJoining) return;
    // Not those that have proved who they are.
    const joining = this.joining.filter(({ isComing }) => !isComing);
    // The oldest is first.
    if (joining.length > mostJoining)
      joining[0]?.end('53300', 'too many connections that have not logged in');
  }
}

function hopeless(): PromiseWithResolvers<never> {
  const found = Promise.withResolvers<never>();
  // Nobody need wait for it.
  found.promise.catch(() => {});
  return found;
}
