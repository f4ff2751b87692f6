import { createHash } from 'node:crypto';
import { type Claims, readClaims } from './claims.ts';
import { type KeyRing, verifySignature } from './keys.ts';

/** Clients use one token until it expires, so there are few at a time. */
const most = 256;

/** Verifies signatures, and caches the valid tokens: verifying one costs more than a whole answer.
 *  A new set of keys gets a new cache. Tokens are kept as digests; the caller checks their times at each request. */
export class KnownTokens {
  readonly #ring: KeyRing;
  /** The oldest first. */
  readonly #claims = new Map<string, Claims>();

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** @throws Error for the log, when it was not signed with one of the keys */
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
