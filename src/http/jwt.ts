import { ComputeError, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Auth } from './auth.ts';
import { type Claims, checkClaims, checkTimes } from './claims.ts';
import { type Jwks, loadKeys } from './keys.ts';
import { KnownTokens } from './known-tokens.ts';

export interface JwtOptions {
  /** What `compute_id` of a token must be; null: only tokens with the admin scope pass. */
  readonly computeId: string | null;
  readonly jwks: Jwks;
  readonly log: Log;
  /** Accept tokens that never expire. Off by default. */
  readonly allowTokensWithoutExp?: boolean;
  /** Why nobody is checked. Given only where somebody asked for it in so many words; the reason is logged as a warning. */
  readonly switchedOffBecause?: string;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: () => number;
}

export interface JwtAuth extends Auth {
  /** Replaces the keys. A set without one usable key is refused, with a warning: it would lock everybody out.
   *  @returns whether the new keys are in force */
  setKeys(jwks: Jwks): Promise<boolean>;
}

const invalid = 'invalid authorization token';
const unverified = 'failed to verify authorization token';
const bearer = /^bearer +([\x21-\x7e]+)$/i;

/** The bearer tokens of the external server. Nothing heavy is loaded before the first token comes. */
export function createJwtAuth(options: JwtOptions): JwtAuth {
  const {
    computeId,
    log,
    switchedOffBecause: off,
    allowTokensWithoutExp = false,
    nowMs = Date.now,
  } = options;
  if (off !== undefined) log.warn(`requests to the external HTTP server are NOT authenticated: ${off}`);
  let keys: Promise<KnownTokens> | undefined;

  const verified = async (token: string): Promise<Claims> => {
    try {
      keys ??= loadKeys(options.jwks, log).then((ring) => new KnownTokens(ring));
      const claims = await (await keys).claimsOf(token);
      checkTimes(claims, nowMs(), allowTokensWithoutExp);
      return claims;
    } catch (error) {
      log.debug(`token refused: ${inline(error)}`);
      // Without the cause: whatever it says about the token must not reach the error line of the request.
      throw new ComputeError('bad_token', unverified);
    }
  };

  return {
    scheme: 'jwt',
    check: async (header) => {
      if (off !== undefined) return;
      if (header === undefined) throw new ComputeError('bad_token', invalid);
      const token = bearer.exec(header.trim())?.[1];
      if (token === undefined) throw new ComputeError('no_token', invalid);
      checkClaims(await verified(token), computeId, unverified);
    },
    setKeys: async (jwks) => {
      const next = await loadKeys(jwks, log);
      if (next.keys.length === 0) {
        log.warn('the new key set holds no usable key: the keys in force stay');
        return false;
      }
      keys = Promise.resolve(new KnownTokens(next));
      return true;
    },
  };
}
