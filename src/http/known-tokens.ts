import { createHash } from 'node:crypto';
import { type Claims, readClaims } from './claims.ts';
import { type KeyRing, verifySignature } from './keys.ts';

/** Clients use one token until it expires, and few of them at a time. */
const most = 256;

/** Verifies signatures, and remembers which tokens were good: checking one costs more than a whole answer.
 *  It lives as long as its keys, so that new keys forget every token. Tokens are kept as digests, and what they claim
 *  about times is for the caller to check each time. */
export class KnownTokens {
  readonly #ring: KeyRing;
  /** The oldest first. */
  readonly #claims = new Map<string, Claims>();

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** @throws Error for the log, when no key has signed it */
  async claimsOf(token: string): Promise<Claims> {
    const digest = createHash('sha256').update(token).digest('base64');
    const known = this.#claims.get(digest);
    if (known !== undefined) return known;
    const claims = readClaims(await verifySignature(token, this.#ring));
    this.#claims.set(digest, claims);
    const [oldest] = this.#claims.keys();
    if (this.#claims.size > most && oldest !== undefined) this.#claims.delete(oldest);
    return claims;
  }

  get size(): number {
    return this.#claims.size;
  }
}
