import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What PostgreSQL stores of a password. @see https://www.rfc-editor.org/rfc/rfc5803 */
export interface Verifier {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** What was said before the proof, as SCRAM signs it. */
export interface Exchange {
  readonly clientFirstBare: string;
  readonly serverFirst: string;
  /** Of the last message of the client. */
  readonly withoutProof: string;
  readonly proof: Buffer;
}

export const mechanism = 'SCRAM-SHA-256';

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
const hmac = (key: Buffer, text: string | Buffer): Buffer => createHmac('sha256', key).update(text).digest();
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] as number)));
const keyBytes = 32;

/** Null for everything but a verifier of SCRAM-SHA-256. */
export function parseVerifier(text: string | null): Verifier | null {
  const match = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(
    text ?? '',
  );
  if (match === null) return null;
  const [, iterations = '', salt = '', stored = '', server = ''] = match;
  const [storedKey, serverKey] = [Buffer.from(stored, 'base64'), Buffer.from(server, 'base64')];
  if (storedKey.length !== keyBytes || serverKey.length !== keyBytes) return null;
  return { iterations: Number(iterations), salt, storedKey, serverKey };
}

/** A verifier that no password fits. The same name gets the same salt, the one that PostgreSQL gives it, so that nobody finds out by
 *  asking twice which roles exist.
 *  @param nonce of the cluster
 *  @see scram_mock_salt in src/backend/libpq/auth-scram.c of PostgreSQL */
export function mockVerifier(role: string, nonce: Buffer): Verifier {
  const salt = sha256(Buffer.concat([Buffer.from(role), nonce]))
    .subarray(0, 16)
    .toString('base64');
  return { iterations: 4096, salt, storedKey: randomBytes(keyBytes), serverKey: randomBytes(keyBytes) };
}

/** The first message of a client. Null when it is none, or asks for channel binding, which needs TLS.
 *  @see https://www.rfc-editor.org/rfc/rfc5802#section-7 */
export function readClientFirst(text: string): { readonly bare: string; readonly nonce: string } | null {
  const match = /^[ny],[^,]*,(.*)$/s.exec(text);
  const bare = match?.[1] ?? '';
  const nonce = /^n=[^,]*,r=([\x21-\x2B\x2D-\x7E]+)(?:,|$)/.exec(bare)?.[1];
  return nonce === undefined ? null : { bare, nonce };
}

/** The answer to it. */
export const serverFirst = (nonce: string, { salt, iterations }: Verifier): string =>
  `r=${nonce}${randomBytes(18).toString('base64')},s=${salt},i=${iterations}`;

/** The last message of a client. Null when it does not continue the exchange. */
export function readClientFinal(
  text: string,
  before: Pick<Exchange, 'clientFirstBare' | 'serverFirst'>,
): Exchange | null {
  const match = /^(c=(?:biws|eSws),r=([^,]+)(?:,[^,]*)*),p=([A-Za-z0-9+/=]+)$/s.exec(text);
  if (match === null) return null;
  const [, withoutProof = '', nonce = '', proof = ''] = match;
  if (nonce !== /^r=([^,]+)/.exec(before.serverFirst)?.[1]) return null;
  return { ...before, withoutProof, proof: Buffer.from(proof, 'base64') };
}

const signed = ({ clientFirstBare, serverFirst: first, withoutProof }: Exchange): string =>
  `${clientFirstBare},${first},${withoutProof}`;

/** Whether a ClientKey belongs to the password of a verifier. */
export const opens = (clientKey: Buffer, { storedKey }: Verifier): boolean =>
  timingSafeEqual(sha256(clientKey), storedKey);

/** The ClientKey, which can log in anew as long as the password stays. Null when the proof is wrong, or was given for another
 *  password. */
export function clientKeyOf(exchange: Exchange, verifier: Verifier): Buffer | null {
  if (exchange.proof.length !== keyBytes) return null;
  const key = xor(exchange.proof, hmac(verifier.storedKey, signed(exchange)));
  return opens(key, verifier) ? key : null;
}

/** What shows a client that the server knows the password, too. */
export const serverFinal = (exchange: Exchange, { serverKey }: Verifier): string =>
  `v=${hmac(serverKey, signed(exchange)).toString('base64')}`;

/** The client's side of a log-in with a ClientKey. */
export class KeyLogin {
  readonly #key: Buffer;
  readonly #bare = `n=,r=${randomBytes(18).toString('base64')}`;

  constructor(key: Buffer) {
    this.#key = key;
  }

  first(): string {
    return `n,,${this.#bare}`;
  }

  final(answer: string): string {
    const nonce = /^r=([^,]+)/.exec(answer)?.[1] ?? '';
    const withoutProof = `c=biws,r=${nonce}`;
    const signature = hmac(sha256(this.#key), `${this.#bare},${answer},${withoutProof}`);
    return `${withoutProof},p=${xor(this.#key, signature).toString('base64')}`;
  }
}
