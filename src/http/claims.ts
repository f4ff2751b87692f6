import { TokenRefused, shownName } from './refusal.ts';

export type Claims = Readonly<Record<string, unknown>>;

const leewaySeconds = 60;
const adminScope = 'compute_ctl:admin';
const audience = 'compute';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws TokenRefused */
export function readClaims(payload: Uint8Array): Claims {
  let claims: unknown;
  try {
    claims = JSON.parse(utf8.decode(payload));
  } catch {
    // The parser's own message would quote the payload.
    throw new TokenRefused('unusable-claims', 'the claims are not JSON');
  }
  if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as Claims;
  throw new TokenRefused('unusable-claims', 'the claims are not an object');
}

/** `exp` and `nbf`, with 60 s of leeway for clocks that differ. A value that is not a finite number is refused.
 *  @throws TokenRefused */
export function checkTimes(claims: Claims, nowMs: number, requireExp: boolean): void {
  const now = Math.floor(nowMs / 1000);
  const exp = seconds(claims, 'exp');
  const nbf = seconds(claims, 'nbf');
  if (exp === undefined && requireExp)
    throw new TokenRefused('no-expiry', 'the claim exp is missing, and --require-token-exp is given');
  if (exp !== undefined && exp < now - leewaySeconds)
    throw new TokenRefused('expired', `it expired ${now - exp} s ago; ${leeway}`);
  if (nbf !== undefined && nbf > now + leewaySeconds)
    throw new TokenRefused('not-yet-valid', `it becomes valid in ${nbf - now} s (claim nbf); ${leeway}`);
}

const leeway = `${leewaySeconds} s are tolerated: compare the clocks of both machines`;

function seconds(claims: Claims, name: 'exp' | 'nbf'): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return Math.round(value);
  throw new TokenRefused('unusable-claims', `the claim ${name} is not a number`);
}

/** Checks which compute the token is for: with the admin scope by the audience, without it by the compute id.
 *  @throws TokenRefused with `bad_token` (401) or `forbidden` (403), and messages that clients match on */
export function checkClaims(claims: Claims, computeId: string | null): void {
  const { scope = null, aud = null, compute_id = null } = claims;
  if (scope !== null && scope !== adminScope)
    throw new TokenRefused('unusable-claims', `the claim scope is not "${adminScope}"`);
  if (!(aud === null || (Array.isArray(aud) && aud.every((entry) => typeof entry === 'string'))))
    throw new TokenRefused('unusable-claims', 'the claim aud is not a list of strings');
  if (!(compute_id === null || typeof compute_id === 'string'))
    throw new TokenRefused('unusable-claims', 'the claim compute_id is not a string');
  if (scope === adminScope) return checkAudience(aud);
  if (compute_id === null) throw forbidden('missing compute_id', 'the claim compute_id is missing');
  if (compute_id === computeId) return;
  const own = computeId === null ? 'and this compute has no id' : `this one is ${shownName(computeId)}`;
  throw forbidden('invalid compute ID', `it is for compute ${shownName(compute_id)}, ${own}`);
}

function checkAudience(aud: readonly string[] | null): void {
  if (aud?.includes(audience) === true) return;
  const found = aud === null ? 'missing' : 'invalid';
  throw new TokenRefused(
    'wrong-audience',
    `the claim aud is ${aud === null ? 'missing' : `without "${audience}"`}`,
    {
      message: `${found} audience in authorization token claims`,
    },
  );
}

const forbidden = (found: string, details: string): TokenRefused =>
  new TokenRefused('wrong-compute', details, {
    code: 'forbidden',
    message: `${found} in authorization token claims`,
  });
