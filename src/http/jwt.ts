import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Auth } from './auth.ts';
import { type Claims, checkClaims, checkTimes } from './claims.ts';
import { type Jwks, loadKeys } from './keys.ts';
import { KnownTokens } from './known-tokens.ts';

export interface JwtOptions {
  /** Required value of a token's `compute_id`; null: only tokens with the admin scope are accepted. */
  readonly computeId: string | null;
  readonly jwks: Jwks;
  readonly log: Log;
  /** Accept tokens that never expire. Off by default. */
  readonly allowTokensWithoutExp?: boolean;
  /** The reason why authentication is off, logged as a warning. Set only on an explicit request. */
  readonly switchedOffBecause?: string;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: () => number;
}

export interface JwtAuth extends Auth {
  /** Replaces the keys. A set without a usable key is refused, with a warning: with it, no token would be valid.
   *  @returns whether the new keys are in force */
  setKeys(jwks: Jwks): Promise<boolean>;
}

const invalid = 'invalid authorization token';
const unverified = 'failed to verify authorization token';
const bearer = /^bearer +([\x21-\x7e]+)$/i;

/** The external server's bearer tokens. The crypto library is loaded when the first token arrives. */
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
      log.debug(`token refused: ${explained(error)}`);
      // Without the cause: its details about the token must not reach the request's error line.
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
        log.warn('the new key set has no usable key: the current keys stay in use');
        return false;
      }
      keys = Promise.resolve(new KnownTokens(next));
      return true;
    },
  };
}
