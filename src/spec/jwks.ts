import { showPath } from './path.ts';
import type { Jwk } from './schema.ts';
import { keyParameters } from './schema/config.ts';

const curves: readonly unknown[] = ['P-256', 'P-384', 'P-521', 'Ed25519'];

const algorithms: ReadonlySet<unknown> = new Set(
  (
    'HS256 HS384 HS512 ES256 ES384 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA ' +
    'RSA1_5 RSA-OAEP RSA-OAEP-256'
  ).split(' '),
);

/** Leaves out keys of an unknown kind, with a note for each: one key of a newer kind must not make the whole set
 *  unusable. */
export function usableKeys(
  keys: readonly Jwk[],
  path: readonly string[],
): { usable: Jwk[]; notes: string[] } {
  const usable: Jwk[] = [];
  const notes: string[] = [];
  for (const [at, key] of keys.entries()) {
    const unknown = unknownKind(key);
    if (unknown === null) usable.push(withoutNulls(key));
    else notes.push(`${showPath([...path, at])} is ignored: unknown ${unknown}`);
  }
  return { usable, notes };
}

function unknownKind(key: Jwk): string | null {
  if (!Object.hasOwn(keyParameters, key.kty)) return `kty ${JSON.stringify(key.kty)}`;
  const alg = key['alg'] ?? null;
  if (alg !== null && !algorithms.has(alg)) return `alg ${JSON.stringify(alg)}`;
  const needsCurve = keyParameters[key.kty]?.includes('crv') === true;
  return needsCurve && !curves.includes(key['crv']) ? `crv ${JSON.stringify(key['crv'])}` : null;
}

const withoutNulls = (key: Jwk): Jwk =>
  Object.fromEntries(Object.entries(key).filter(([, value]) => value !== null)) as Jwk;
