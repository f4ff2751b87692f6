import type { CryptoKey } from 'jose';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

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
export async function loadKeys(jwks: Jwks, log: Log): Promise<KeyRing> {
  const all = jwks.keys as readonly Jwk[];
  const family = all.some(({ alg }) => alg === 'RS256') ? rs256 : edDsa;
  const keys: VerifyKey[] = [];
  for (const [at, jwk] of all.entries()) {
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : null;
    try {
      keys.push({ kid, key: await importKey(jwk, family) });
    } catch (error) {
      log.warn({ kid: kid ?? 'no kid' }, `key ${at} of the key set is not used: ${explained(error)}`);
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
 *  @returns the payload   @throws the reason of the last key, for the log */
export async function verifySignature(token: string, ring: KeyRing): Promise<Uint8Array> {
  const { compactVerify } = await import('jose/jws/compact/verify');
  const { decodeProtectedHeader } = await import('jose/decode/protected_header');
  const { kid } = decodeProtectedHeader(token);
  const named = ring.keys.filter((key) => kid !== undefined && key.kid === kid);
  const others = ring.keys.filter((key) => !named.includes(key));
  let last: unknown = new Error('no key');
  for (const { key } of [...named, ...others]) {
    try {
      return (await compactVerify(token, key, { algorithms: ring.names })).payload;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}
