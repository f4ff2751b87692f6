import { randomBytes } from 'node:crypto';
import { monotonicMs } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';

const randomText = (): string => randomBytes(32).toString('base64url');

export const linkMs = 3_600_000;
const sessionMs = 12 * 3_600_000;
const mostLinks = 16;
const mostSessions = 32;

/** What can be used until its time is over. One more than the most takes the place of the oldest. */
class Limited<T> {
  readonly #most: number;
  readonly #ms: number;
  readonly #now: () => number;
  readonly #all = new Map<T, number>();

  constructor(most: number, ms: number, now: () => number) {
    this.#most = most;
    this.#ms = ms;
    this.#now = now;
  }

  add(one: T): void {
    for (const oldest of this.#all.keys()) {
      if (this.#all.size < this.#most) break;
      this.#all.delete(oldest);
    }
    this.#all.set(one, this.#now() + this.#ms);
  }

  valid(): T[] {
    for (const [one, endMs] of this.#all) if (endMs <= this.#now()) this.#all.delete(one);
    return [...this.#all.keys()];
  }

  remove(one: T): void {
    this.#all.delete(one);
  }
}

/** A browser that has shown a link of ours. */
export interface Session {
  /** In the path of its pages, so that the browser sends the cookie to no other server of this machine: cookies know no ports. */
  readonly id: string;
  readonly cookie: Secret;
}

export const cookieName = 'compute_local_dashboard';

/** Who may see the dashboard: a token of a link can be exchanged once for a session. All in memory. */
export class Sessions {
  readonly #links: Limited<Secret>;
  readonly #sessions: Limited<Session>;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = monotonicMs) {
    this.#links = new Limited(mostLinks, linkMs, now);
    this.#sessions = new Limited(mostSessions, sessionMs, now);
  }

  /** A new token, for one exchange. */
  link(): string {
    const token = randomText();
    this.#links.add(new Secret(token));
    return token;
  }

  /** Null for a token that is wrong, was used, or is too old. */
  exchange(token: string): Session | null {
    // All are compared, so that the duration shows nothing.
    const found = this.#links.valid().filter((link) => link.matches(token));
    for (const link of found) this.#links.remove(link);
    if (found.length === 0) return null;
    const session = { id: randomText().slice(0, 16), cookie: new Secret(randomText()) };
    this.#sessions.add(session);
    return session;
  }

  /** Whether a request with this header may see what is below the path of that session. */
  isOpen(id: string, cookies = ''): boolean {
    const given = cookiesIn(cookies);
    return this.#sessions
      .valid()
      .some((one) => one.id === id && given.some((each) => one.cookie.matches(each)));
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc6265#section-5.4 */
const cookiesIn = (header: string): string[] =>
  header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName}=`))
    .map((pair) => pair.slice(cookieName.length + 1));

/** The value of `Set-Cookie`. Without `Secure`: the loopback is served without TLS. */
export const setCookie = ({ id, cookie }: Session): string =>
  `${cookieName}=${cookie.reveal()}; Path=/s/${id}; HttpOnly; SameSite=Strict; Max-Age=${sessionMs / 1000}`;
