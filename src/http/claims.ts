import { ComputeError } from '../core/errors.ts';

export type Claims = Readonly<Record<string, unknown>>;

const leewaySeconds = 60;
const adminScope = 'compute_ctl:admin';
const audience = 'compute';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws Error, for the log */
export function readClaims(payload: Uint8Array): Claims {
  let claims: unknown;
  try {
    claims = JSON.parse(utf8.decode(payload));
  } catch {
    // The parser's own message would quote the payload.
    throw new Error('the claims are not JSON');
  }
  if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as Claims;
  throw new Error('the claims are not an object');
}

/** `exp` and `nbf`, with 60 s of leeway for clocks that differ. A value that is not a finite number is refused.
 *  @throws Error, for the log */
export function checkTimes(claims: Claims, nowMs: number, withoutExp: boolean): void {
  const now = Math.floor(nowMs / 1000);
  const exp = seconds(claims, 'exp');
  const nbf = seconds(claims, 'nbf');
  if (exp === undefined && !withoutExp) throw new Error('the claim exp is missing');
  if (exp !== undefined && exp < now - leewaySeconds) throw new Error('expired');
  if (nbf !== undefined && nbf > now + leewaySeconds) throw new Error('not valid yet: see the claim nbf');
}

function seconds(claims: Claims, name: 'exp' | 'nbf'): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${name} is not a number`);
  return Math.round(value);
}

/** Checks which compute the token is for: with the admin scope by the audience, without it by the compute id.
 *  @throws ComputeError `bad_token` (401) or `forbidden` (403), with messages that clients match on */
export function checkClaims(claims: Claims, computeId: string | null, malformed: string): void {
  const { scope = null, aud = null, compute_id = null } = claims;
  const wellFormed =
    (scope === null || scope === adminScope) &&
    (aud === null || (Array.isArray(aud) && aud.every((entry) => typeof entry === 'string'))) &&
    (compute_id === null || typeof compute_id === 'string');
  if (!wellFormed) throw new ComputeError('bad_token', malformed);
  if (scope === adminScope) {
    if (aud === null) throw new ComputeError('bad_token', 'missing audience in authorization token claims');
    if (aud.includes(audience)) return;
    throw new ComputeError('bad_token', 'invalid audience in authorization token claims');
  }
  if (compute_id === null)
    throw new ComputeError('forbidden', 'missing compute_id in authorization token claims');
  if (compute_id === computeId) return;
  throw new ComputeError('forbidden', 'invalid compute ID in authorization token claims');
}
