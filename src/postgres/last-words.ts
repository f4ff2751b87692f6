import { monotonicMs } from '../core/clock.ts';
import { LastWords } from '../core/failure.ts';

/** Messages before a fatal one that are kept with it: they name the setting that is wrong, or the port in use. */
const maxBefore = 4;
/** Characters of a message, and of what is added to it. */
const maxLength = 1000;
/** Milliseconds before the end of a server that has run: older messages were about something else. */
const recentMs = 10_000;
/** Lines without a severity that are kept: the last ones of a program that could not be loaded, or speaks another language. */
const maxOther = 3;

const parts =
  /(?:^|[\s:\]])(PANIC|FATAL|ERROR|WARNING|LOG|DETAIL|HINT|CONTEXT|STATEMENT|QUERY): {1,2}(?:([0-9A-Z]{5}): )?(.*)/;

/** Of a connection that was refused or ended, not of the server. */
const ofClients = [
  /^the database system is /,
  /^terminating .* (?:due to|because of) /,
  /^unsupported frontend protocol/,
  /^no PostgreSQL user name specified/,
  /^(?:sorry, too many clients|too many connections|remaining connection slots)/,
  /authentication failed for user/,
  /^(?:no )?pg_hba\.conf (?:entry|rejects)/,
  /^(?:role|database) ".*" (?:does not exist|is not )/,
  /^connection (?:to client lost|requires)/,
  /^canceling authentication/,
  /^permission denied for database/,
];

/** What a start says in any case. */
const ordinary = [
  /^(?:starting PostgreSQL|listening on |database system |the database system |entering standby mode)/,
  /^(?:redo|checkpoint|restartpoint|consistent recovery|invalid record length|all server processes)/,
  /^(?:received|aborting|shutting down|background worker|terminating|redirecting log output|ending log output)/,
  /exited with exit code|was terminated by signal/,
];

/** What a server that could not start says of itself beside the reason. */
const noise = [...ordinary.slice(0, 1), /^(?:redirecting|ending) log output/, /^Future log output/];

interface Message {
  readonly severity: string;
  readonly sqlstate: string | null;
  readonly text: string;
  readonly atMs: number;
  readonly more: string[];
}

/** Keeps PostgreSQL's last FATAL or PANIC message, and what it said just before, from the lines of its log. The severity is
 *  looked for within each line, since the spec decides what stands before it. */
export class ServerLog {
  readonly #state: RegExp | null;
  readonly #nowMs: () => number;
  #before: Message[] = [];
  #last: { readonly message: Message; readonly before: readonly Message[] } | null = null;
  #current: Message | null = null;
  #other: string[] = [];

  /** @param prefix `log_line_prefix`: its `%e` is the SQLSTATE; null: the server's default, which has none
   *  @param nowMs of a clock that never goes back */
  constructor(prefix: string | null = null, nowMs: () => number = monotonicMs) {
    this.#state = stateIn(prefix ?? '');
    this.#nowMs = nowMs;
  }

  /** @param quoted whether a line without a severity may be shown: not one of a file that may be another program's */
  add(line: string, quoted = true): void {
    const [, severity, sqlstate, rest = ''] = parts.exec(line) ?? [];
    const text = rest.slice(0, maxLength);
    if (quoted && !noise.some((words) => words.test(text)))
      this.#other = [...this.#other, line.slice(0, maxLength)].slice(-maxOther);
    if (severity === undefined) return;
    if (severity === 'DETAIL' || severity === 'HINT' || severity === 'CONTEXT')
      this.#current?.more.push(`${severity}: ${text}`);
    // Statements are the clients', and may hold secrets.
    else if (severity !== 'STATEMENT' && severity !== 'QUERY') {
      const state = sqlstate ?? this.#state?.exec(line)?.[1] ?? null;
      this.#keep({ severity, sqlstate: state, text, atMs: this.#nowMs(), more: [] });
    }
  }

  /** @param run `starting`: everything that it said; `serving`: only what it said in the last ten seconds, if that was fatal
   *  @returns null when it said nothing */
  last(run: 'starting' | 'serving'): LastWords | null {
    if (this.#last === null) {
      if (run === 'serving' || this.#other.length === 0) return null;
      return new LastWords(`PostgreSQL: ${this.#other.join('; ')}`, null);
    }
    const { message, before } = this.#last;
    if (run === 'serving' && !this.#isRecent(message)) return null;
    const said = before.map(shown);
    const earlier = said.length === 0 ? '' : `, after ${said.join('; ')}`;
    return new LastWords(`PostgreSQL: ${shown(message)}${earlier}`, message.sqlstate);
  }

  readonly #isRecent = ({ atMs }: Message): boolean => this.#nowMs() - atMs < recentMs;

  #keep(message: Message): void {
    const { severity, text, sqlstate } = message;
    const fatal = severity === 'FATAL' || severity === 'PANIC';
    const skipped = fatal
      ? sqlstate === '57P03' || ofClients.some((words) => words.test(text))
      : severity === 'ERROR' || ordinary.some((words) => words.test(text));
    this.#current = skipped ? null : message;
    if (skipped) return;
    if (!fatal) this.#before = [...this.#before.filter(this.#isRecent), message].slice(-maxBefore);
    else {
      // The processes that follow a panic out are not its reason.
      const panicked = this.#last?.message.severity === 'PANIC' && this.#isRecent(this.#last.message);
      if (severity === 'PANIC' || !panicked)
        this.#last = { message, before: this.#before.filter(this.#isRecent) };
      this.#before = [];
    }
  }
}

function shown({ severity, sqlstate, text, more }: Message): string {
  const state = sqlstate === null ? '' : ` ${sqlstate}`;
  const added = more.length === 0 ? '' : ` (${more.join(' ').slice(0, maxLength)})`;
  return `${severity}${state}: ${text}${added}`;
}

/** Finds the value of `%e` in a line that begins with this prefix; null when it has no `%e`. */
function stateIn(prefix: string): RegExp | null {
  // The postmaster and the startup process stop at %q.
  const [own = ''] = prefix.split('%q');
  if (!/%-?\d*e/.test(own)) return null;
  const pattern = own.split(/(%-?\d*[a-zA-Z%])/).map((part) => {
    if (/^%-?\d*e$/.test(part)) return ' *([0-9A-Z]{5}) *';
    return /^%-?\d*[a-zA-Z]$/.test(part) ? '.*?' : part.replaceAll(/[^\w\s]/g, String.raw`\$&`);
  });
  return new RegExp(`^${pattern.join('')}`);
}
