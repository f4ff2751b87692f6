import { FrameTrack, type Wanted, keptBytes } from './frame-track.ts';
import { auth, authKind, readSaslInitial } from './messages.ts';
import { type Exchange, mechanism, readClientFinal, readClientFirst } from './scram.ts';

/** State of a session that Postgres does not show, or cannot show from within it. */
export type Hidden = 'settings' | 'backup' | 'library' | 'connections' | 'statements';

/** Calls that leave such a state behind. Statements are not parsed: the word is enough, in a comment, too. */
const anyCall = /set_config|pg_backup_start|pg_start_backup|dblink_connect/i;
const calls: readonly (readonly [RegExp, Hidden])[] = [
  [/set_config/i, 'settings'],
  [/pg_(backup_start|start_backup)/i, 'backup'],
  [/dblink_connect/i, 'connections'],
];
/** Longer than the longest of these words. */
const overlap = 20;

/** The tags of statements whose body may set a parameter of an application, such as `app.tenant`, which pg_settings does not list. */
const bodies: ReadonlySet<string> = new Set(['DO', 'CALL']);
/** Lengths of the tags that count, with their ends: most others, such as those with a number of rows, are not even read. */
const tagBytes: ReadonlySet<number> = new Set(
  ['DISCARD ALL', 'SET', 'LOAD', ...bodies].map((tag) => tag.length + 1),
);
/** In a Parse, which may be executed much later: SET of a name with a dot. Each line begins anew, so that the time grows with the
 *  length of the text and not with its square. */
const setsOwn = /(?:^|[;\n]|\*\/)[^\S\n]*set\s+(?:session\s+)?(?:"[^"]*\.|(?:"[^"]*"|[^\s"=.;]+)\s*\.)/i;
/** Of the Parse messages that are kept for one client. */
const statementsBytes = 256 * 1024;

/** Follows what a client and its Postgres say to each other, which is passed on as it is. It knows when nothing is under way, and
 *  what it takes to begin again with another server process. */
export class Conversation {
  /** What the client sends. */
  readonly fromClient: FrameTrack;
  /** What Postgres sends. */
  readonly fromServer: FrameTrack;
  /** The last value that the client was told of each parameter. */
  readonly parameters = new Map<string, string>();
  readonly hidden = new Set<Hidden>();
  /** Pid and key for cancel requests, of this server process. */
  key: Buffer | null = null;
  /** The Parse messages of the statements that the client may still bind, by name; the unnamed one has the empty name. */
  readonly statements = new Map<string, Buffer>();
  exchange: Exchange | null = null;
  loggedIn = false;
  #begun: Pick<Exchange, 'clientFirstBare' | 'serverFirst'> = { clientFirstBare: '', serverFirst: '' };
  #status = '';
  /** Queries and Syncs that are not answered yet. */
  #pending = 0;
  /** Something was sent that waits for its Sync. */
  #unsynced = false;
  #tail = '';
  /** A dot was in the text since Postgres was last ready. */
  #dot = false;
  #statementBytes = 0;
  /** Syncs after the last Execute: Postgres ignores those that it reads while it takes the data of a COPY. */
  #syncs = 0;
  /** Postgres takes the data of a COPY. */
  #copies = false;
  /** A prepared statement may set a parameter of an application. */
  #parsedSet = false;
  /** What may set one was sent since Postgres was last ready: it may come after a DISCARD ALL that was sent with it. */
  #setsSent = false;
  /** The unnamed statement was sent, and Postgres was not ready since. */
  #unnamedSent = false;

  constructor() {
    this.fromClient = new FrameTrack({
      wants: (type, length) => this.#clientBegins(type, length),
      piece: (_, bytes, isLast) => this.#scan(bytes, isLast),
      body: (type, bytes) => this.#clientSaid(type, bytes),
    });
    this.fromServer = new FrameTrack({
      heeds: 'ZSCKREG',
      wants: (type, length) => {
        // It may have been the Parse of it that failed.
        if (type === 'E' && this.#unnamedSent) this.#forget('');
        if (type === 'G') this.#copies = true;
        if (type === 'C') return tagBytes.has(length) ? 'body' : 'nothing';
        return type === 'E' || type === 'G' ? 'nothing' : 'body';
      },
      body: (type, bytes) => this.#serverSaid(type, bytes),
    });
  }

  /** Nothing is under way, and there is no transaction. */
  get idle(): boolean {
    const { fromClient, fromServer } = this;
    return (
      this.loggedIn && !this.busy && this.#status === 'I' && fromClient.atBoundary && fromServer.atBoundary
    );
  }

  /** The client waits for an answer. */
  get busy(): boolean {
    return this.#pending > 0 || this.#unsynced;
  }

  get inTransaction(): boolean {
    return this.#status === 'T' || this.#status === 'E';
  }

  #clientBegins(type: string, length: number): Wanted {
    if (type === 'p') return this.loggedIn ? 'nothing' : 'body';
    if (type === 'Q' || type === 'F' || type === 'S') this.#pending++;
    if (type === 'E' || type === 'Q') this.#syncs = 0;
    if (type === 'S') this.#syncs++;
    if ((type === 'c' || type === 'f') && this.#copies) {
      this.#pending = Math.max(0, this.#pending - this.#syncs);
      [this.#syncs, this.#copies] = [0, false];
    }
    if (type === 'S' || type === 'Q') this.#unsynced = false;
    else if ('PBEDCH'.includes(type)) this.#unsynced = true;
    // A function that is called by its number may be any.
    if (type === 'F') this.#hide('settings');
    if (type === 'Q') this.#forget('');
    if (type === 'C') return 'body';
    if (type === 'P' && length <= keptBytes) return 'body';
    // What is too long cannot be sent again.
    if (type === 'P') this.hidden.add('statements');
    return type === 'P' || type === 'Q' ? 'pieces' : 'nothing';
  }

  #clientSaid(type: string, body: Buffer): void {
    if (type === 'p') return this.#prove(body);
    if (type === 'C') {
      if (body[0] === statementKind) this.#forget(nameIn(body, 1));
      return;
    }
    const name = nameIn(body, 0);
    if (name === '') this.#unnamedSent = true;
    if (setsOwn.test(body.toString('latin1', name.length + 1))) this.#parsedSet = true;
    this.#keep(name, body);
    this.#scan(body, true);
  }

  #keep(name: string, parse: Buffer): void {
    this.#forget(name);
    if (this.#statementBytes + parse.length > statementsBytes) this.hidden.add('statements');
    else {
      this.statements.set(name, Buffer.from(parse));
      this.#statementBytes += parse.length;
    }
  }

  #forget(name: string): void {
    this.#statementBytes -= this.statements.get(name)?.length ?? 0;
    this.statements.delete(name);
  }

  #scan(bytes: Buffer, isLast: boolean): void {
    const text = this.#tail + bytes.toString('latin1');
    if (anyCall.test(text)) for (const [call, state] of calls) if (call.test(text)) this.#hide(state);
    this.#dot ||= text.includes('.');
    this.#tail = isLast ? '' : text.slice(-overlap);
  }

  #hide(state: Hidden): void {
    this.hidden.add(state);
    if (state === 'settings') this.#setsSent = true;
  }

  /** Remembers the proof of the password, from which the ClientKey can be had once its verifier is known. */
  #prove(body: Buffer): void {
    const initial = readSaslInitial(body);
    const begun = initial?.mechanism === mechanism ? readClientFirst(initial.text) : null;
    if (begun !== null) this.#begun = { ...this.#begun, clientFirstBare: begun.bare };
    else this.exchange = readClientFinal(body.toString('utf8'), this.#begun);
  }

  #serverSaid(type: string, body: Buffer): void {
    if (type === 'Z') {
      // The first one ends the log-in, and answers nothing.
      if (this.loggedIn) this.#pending = Math.max(0, this.#pending - 1);
      this.loggedIn = true;
      this.#status = String.fromCharCode(body[0] ?? 0);
      this.#copies = false;
      if (this.busy) return;
      this.#syncs = 0;
      this.#dot = false;
      this.#setsSent = false;
      this.#unnamedSent = false;
    } else if (type === 'S') {
      const [name = '', value = ''] = body.toString('utf8').split('\0');
      this.parameters.set(name, value);
    } else if (type === 'K') this.key = Buffer.from(body);
    else if (type === 'C') this.#completed(nameIn(body, 0));
    else if (authKind(body) === auth.saslContinue)
      this.#begun = { ...this.#begun, serverFirst: body.toString('utf8', 4) };
  }

  #completed(tag: string): void {
    if (tag === 'DISCARD ALL') {
      if (!this.#setsSent) this.hidden.delete('settings');
    }
    // The name of a parameter that pg_settings does not list has a dot.
    else if (bodies.has(tag) || (tag === 'SET' && (this.#dot || this.#parsedSet)))
      this.hidden.add('settings');
    else if (tag === 'LOAD') this.hidden.add('library');
  }
}

const statementKind = 0x53;

/** Names stay bytes: they are in whatever encoding the client has. */
const nameIn = (body: Buffer, at: number): string =>
  body.toString('latin1', at, Math.max(at, body.indexOf(0, at)));
