import { randomBytes } from 'node:crypto';
import { monotonicMs } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';

const randomText = (): string => randomBytes(32).toString('base64url');

export const linkMs = 3_600_000;
const sessionMs = 12 * 3_600_000;
/** From the exchange to the first use: a browser follows at once. */
const offeredMs = 60_000;
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
  readonly isOpen: () => boolean;
}

/** One that nobody has used yet. */
interface Offered extends Session {
  readonly link: Secret;
}

export const cookieName = 'compute_local_dashboard';

/** Who may see the dashboard. The token of a link can be exchanged for a session until one of its sessions is used: a program
 *  that only looks at links, as for a preview, keeps no cookie, and so does not use up the link. All in memory. */
export class Sessions {
  readonly #links: Limited<Secret>;
  readonly #offered: Limited<Offered>;
  readonly #sessions: Limited<Session>;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = monotonicMs) {
    this.#links = new Limited(mostLinks, linkMs, now);
    this.#offered = new Limited(mostLinks, offeredMs, now);
    this.#sessions = new Limited(mostSessions, sessionMs, now);
  }

  /** A new token, for one session. */
  link(): string {
    const token = randomText();
    this.#links.add(new Secret(token));
    return token;
  }

  /** Null for a token that is wrong, was used, or is too old. */
  exchange(token: string): Session | null {
    // All are compared, so that the duration shows nothing.
    const [link] = this.#links.valid().filter((one) => one.matches(token));
    if (link === undefined) return null;
    const session: Offered = {
      id: randomText().slice(0, 16),
      cookie: new Secret(randomText()),
      isOpen: () => this.#sessions.valid().includes(session),
      link,
    };
    this.#offered.add(session);
    return session;
  }

  /** The session whose pages a request with this header may see. Its first use ends its link, and what else that was exchanged for.
   *  @param isUse a request that only looks is none */
  find(id: string, cookies = '', isUse = true): Session | null {
    const given = cookiesIn(cookies);
    const isIts = (one: Session): boolean =>
      one.id === id && given.some((cookie) => one.cookie.matches(cookie));
    const known = this.#sessions.valid().find(isIts);
    if (known !== undefined || !isUse) return known ?? null;
    const session = this.#offered.valid().find(isIts);
    if (session === undefined) return null;
    this.#links.remove(session.link);
    for (const one of this.#offered.valid()) if (one.link === session.link) this.#offered.remove(one);
    this.#sessions.add(session);
    return session;
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
