import type { CryptoKey } from 'jose';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { TokenRefused, shownName } from './refusal.ts';

/** A JWK set, RFC 7517. */
export interface Jwks {
  readonly keys: readonly object[];
}

interface VerifyKey {
  readonly kid: string | null;
  readonly key: CryptoKey;
}

/** Keys of one algorithm, with all names that a token may use for it. */
export interface KeyRing {
  readonly names: string[];
  readonly keys: readonly VerifyKey[];
}

type Jwk = Readonly<Record<string, unknown>>;

interface Family {
  readonly names: string[];
  readonly fits: (jwk: Jwk) => boolean;
  /** The public members only: a private or symmetric part is never read. */
  readonly pick: readonly string[];
}

const rs256: Family = { names: ['RS256'], fits: ({ kty }) => kty === 'RSA', pick: ['kty', 'n', 'e'] };
/** `Ed25519` is the newer name of the same algorithm (RFC 9864). */
const edDsa: Family = {
  names: ['EdDSA', 'Ed25519'],
  fits: ({ kty, crv }) => kty === 'OKP' && crv === 'Ed25519',
  pick: ['kty', 'crv', 'x'],
};

/** Imports a set's keys. RS256 if at least one key has it as `alg`, else EdDSA; all other keys are left out. */
export const loadKeys = (jwks: Jwks, log: Log): Promise<KeyRing> =>
  readKeys(jwks, (kid, text) => log.warn({ kid: kid ?? 'no kid' }, text));

/** @param leftOut called for each key that is not used, with the reason */
export async function readKeys(
  jwks: Jwks,
  leftOut: (kid: string | null, text: string) => void,
): Promise<KeyRing> {
  const all = jwks.keys as readonly Jwk[];
  const family = all.some(({ alg }) => alg === 'RS256') ? rs256 : edDsa;
  const keys: VerifyKey[] = [];
  for (const [at, jwk] of all.entries()) {
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : null;
    try {
      keys.push({ kid, key: await importKey(jwk, family) });
    } catch (error) {
      leftOut(kid, `key ${at} of the key set is not used: ${explained(error)}`);
    }
  }
  return { names: family.names, keys };
}

async function importKey(jwk: Jwk, { names, fits, pick }: Family): Promise<CryptoKey> {
  const { alg = null, use = null, key_ops: operations = null } = jwk;
  const usable =
    fits(jwk) &&
    (alg === null || names.includes(alg as string)) &&
    (use === null || use === 'sig') &&
    (operations === null || (Array.isArray(operations) && operations.includes('verify')));
  if (!usable) throw new Error(`it is not a key for ${names[0]} signatures`);
  const { importJWK } = await import('jose/key/import');
  const members = Object.fromEntries(pick.map((name) => [name, jwk[name]]));
  return (await importJWK(members, names[0])) as CryptoKey;
}

/** Tries the key that the token names first, then all others in their order.
 *  @returns the payload   @throws TokenRefused */
export async function verifySignature(token: string, ring: KeyRing): Promise<Uint8Array> {
  const { compactVerify } = await import('jose/jws/compact/verify');
  const { alg, kid } = await headerOf(token);
  if (ring.keys.length === 0) throw new TokenRefused('no-keys', 'this compute has no usable key');
  if (typeof alg !== 'string' || !ring.names.includes(alg))
    throw new TokenRefused(
      'wrong-algorithm',
      `it is signed by ${shownName(alg)}, the keys are for ${ring.names[0]}`,
    );
  const named = ring.keys.filter((key) => kid !== undefined && key.kid === kid);
  const others = ring.keys.filter((key) => !named.includes(key));
  let readable = false;
  for (const { key } of [...named, ...others]) {
    try {
      return (await compactVerify(token, key, { algorithms: ring.names })).payload;
    } catch (error) {
      readable ||= fitsNot(error);
    }
  }
  if (!readable) throw new TokenRefused('malformed', 'it is not a signed token (JWS) that can be read');
  throw unsigned(kid, named.length > 0, ring);
}

async function headerOf(token: string): Promise<{ alg?: unknown; kid?: unknown }> {
  const { decodeProtectedHeader } = await import('jose/decode/protected_header');
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw new TokenRefused('malformed', 'its header cannot be read');
  }
}

/** The token can be read, but this key did not sign it. */
const fitsNot = (error: unknown): boolean =>
  (error as { code?: unknown }).code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED';

function unsigned(kid: unknown, isNamed: boolean, { keys }: KeyRing): TokenRefused {
  if (isNamed)
    return new TokenRefused(
      'wrong-signature',
      `its signature is not that of the key ${shownName(kid)} (kid)`,
    );
  const ours = keys.map((key) => (key.kid === null ? 'without kid' : shownName(key.kid))).slice(0, 10);
  const which = kid === undefined ? 'no kid' : `kid ${shownName(kid)}`;
  return new TokenRefused(
    'unknown-key',
    `no key of this compute has signed it (${which}; keys: ${ours.join(', ')})`,
  );
}
