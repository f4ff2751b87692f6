import type { Log } from '../core/log.ts';
import type { Auth } from './auth.ts';
import { checkClaims, checkTimes } from './claims.ts';
import { type Jwks, loadKeys } from './keys.ts';
import { KnownTokens } from './known-tokens.ts';
import { RefusalLog, TokenRefused } from './refusal.ts';

export interface JwtOptions {
  /** Required value of a token's `compute_id`; null: only tokens with the admin scope are accepted. */
  readonly computeId: string | null;
  readonly jwks: Jwks;
  readonly log: Log;
  /** Refuse tokens that never expire. Off by default: control planes written for the original sign no others. */
  readonly requireExp?: boolean;
  /** The reason why authentication is off, logged as a warning. Set only on an explicit request. */
  readonly switchedOffBecause?: string;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: () => number;
  /** Milliseconds of a clock that never goes back, for tests. */
  readonly monotonicMs?: () => number;
}

export interface JwtAuth extends Auth {
  /** Replaces the keys. A set without a usable key is refused, with a warning: with it, no token would be valid.
   *  @returns whether the new keys are in force */
  setKeys(jwks: Jwks): Promise<boolean>;
}

const eternalNote =
  'a token without the claim exp was accepted: it never expires, and neither do the rights of whoever has seen it. Once the control plane signs tokens with exp, give --require-token-exp';

const invalid = 'invalid authorization token';
const bearer = /^bearer +([\x21-\x7e]+)$/i;

/** The external server's bearer tokens. The crypto library is loaded when the first token arrives. */
export function createJwtAuth(options: JwtOptions): JwtAuth {
  const {
    computeId,
    log,
    switchedOffBecause: off,
    requireExp = false,
    nowMs = Date.now,
    monotonicMs,
  } = options;
  if (off !== undefined) log.warn(`requests to the external HTTP server are NOT authenticated: ${off}`);
  let keys: Promise<KnownTokens> | undefined;
  let eternalNoted = false;

  const refusals = new RefusalLog(log, monotonicMs);

  const verify = async (header: string | undefined): Promise<void> => {
    if (header === undefined)
      throw new TokenRefused('no-token', 'the request has no Authorization header', { message: invalid });
    const token = bearer.exec(header.trim())?.[1];
    if (token === undefined)
      throw new TokenRefused('not-a-bearer-token', 'the Authorization header is not "Bearer" and a token', {
        code: 'no_token',
        message: invalid,
      });
    keys ??= loadKeys(options.jwks, log).then((ring) => new KnownTokens(ring));
    const claims = await (await keys).claimsOf(token);
    checkTimes(claims, nowMs(), requireExp);
    checkClaims(claims, computeId);
    if (claims['exp'] === undefined && !eternalNoted) {
      eternalNoted = true;
      log.warn(eternalNote);
    }
  };

  return {
    scheme: 'jwt',
    check: async (header) => {
      if (off !== undefined) return;
      await verify(header).catch((error: unknown) => {
        if (error instanceof TokenRefused) refusals.add(error);
        throw error;
      });
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
