import { randomBytes } from 'node:crypto';
import { monotonicMs } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';

/** Longer than a start takes from its spec to the end of its base backup. */
const startMs = 2 * 3_600_000;

/** What the clients of the storage may do. Everybody with the token may read. Postgres has it in its environment and in
 *  `primary_conninfo`, where a superuser can read it; so it does not allow to replace the compute that writes.
 *  That takes the token of a start: the same with a part that only the control plane gives, to the compute that is to be the
 *  primary, before its Postgres exists. When its base backup has been sent, it is worth no more than the token. */
export class Access {
  readonly #token: Secret;
  #start: { readonly token: Secret; readonly untilMs: number } | null = null;

  constructor(token: Secret) {
    this.#token = token;
  }

  /** The token of the next start; earlier ones no longer allow one. */
  issueStart(): string {
    const token = `${this.#token.reveal()}.${randomBytes(24).toString('base64url')}`;
    this.#start = { token: new Secret(token), untilMs: monotonicMs() + startMs };
    return token;
  }

  mayRead(given: string): boolean {
    const end = given.indexOf('.');
    return this.#token.matches(end === -1 ? given : given.slice(0, end));
  }

  mayStart(given: string): boolean {
    return this.#start !== null && monotonicMs() < this.#start.untilMs && this.#start.token.matches(given);
  }

  /** The base backup for this start has been sent: from now on, its Postgres may have the token. */
  started(given: string): void {
    if (this.#start?.token.matches(given) === true) this.#start = null;
  }
}
