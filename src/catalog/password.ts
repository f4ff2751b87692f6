import { Secret } from '../core/secret.ts';
import { isNoPassword } from '../spec/password.ts';

const scram =
  /^SCRAM-SHA-256\$([1-9]\d{0,9}):((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** The value of `pg_authid.rolpassword` after the spec's `encrypted_password` is applied: a SCRAM verifier unchanged, an
 *  md5 hash with the prefix `md5`, which the spec omits; null for a placeholder. */
export function storedPassword(encrypted: Secret | null): Secret | null {
  if (encrypted === null || isNoPassword(encrypted)) return null;
  return isScram(encrypted) ? encrypted : new Secret(`md5${encrypted.reveal()}`);
}

export const isScram = (password: Secret): boolean => password.reveal().startsWith('SCRAM-SHA-256');

/** Why the server would not accept `encrypted` as a hash (it would store the hash of that text); null when it would. */
export function passwordFault(encrypted: Secret): string | null {
  if (isNoPassword(encrypted)) return null;
  if (isScram(encrypted)) {
    return scram.test(encrypted.reveal()) ? null : 'is not a well-formed SCRAM-SHA-256 verifier';
  }
  if (/^[0-9a-f]{32}$/.test(encrypted.reveal())) return null;
  return 'is neither a SCRAM-SHA-256 verifier nor 32 lower-case hex digits, an md5 hash without its prefix "md5"';
}
