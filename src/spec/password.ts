import type { Secret } from '../core/secret.ts';

/** No iterations, or no keys. */
const placeholder = /^SCRAM-SHA-256(?:\$0*:.*|\$\d*:[^$]*\$:?|\$?)$/s;

/** Whether an `encrypted_password` is what people write who have no password: nothing, or a verifier without content such
 *  as `SCRAM-SHA-256$0:$:`. Nobody could log in with it, and the server would hash the text itself. */
export const isNoPassword = (encrypted: Secret): boolean =>
  encrypted.reveal().trim() === '' || placeholder.test(encrypted.reveal().trim());
