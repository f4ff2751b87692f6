import { generateKeyPairSync } from 'node:crypto';
import { type JWTHeaderParameters, SignJWT } from 'jose';
import { type JwtAuth, type JwtOptions, createJwtAuth } from '../../../src/http/jwt.ts';
import { recorder } from './support.ts';

/** Seconds since 1970. */
export const now = 1_750_000_000;
export const ed = generateKeyPairSync('ed25519');
export const other = generateKeyPairSync('ed25519');

type Pair = typeof ed;

export interface Subject {
  readonly auth: JwtAuth;
  /** `passed`, or code and text of the refusal. */
  readonly answer: (token: string, header?: string) => Promise<string>;
  readonly lines: readonly string[];
}

export const jwk = (pair: Pair, extra: object = {}): object => ({
  ...pair.publicKey.export({ format: 'jwk' }),
  ...extra,
});

export const sign = (
  claims: object,
  pair = ed,
  header: JWTHeaderParameters = { alg: 'EdDSA' },
): Promise<string> =>
  new SignJWT({ exp: now + 600, ...claims }).setProtectedHeader(header).sign(pair.privateKey);

/** Checks tokens for compute `c1` with the key `ed`, at the time `now`. */
export function subject(options: Partial<JwtOptions> = {}): Subject {
  const { log, lines } = recorder();
  const auth = createJwtAuth({
    computeId: 'c1',
    jwks: { keys: [jwk(ed)] },
    log,
    nowMs: () => now * 1000,
    ...options,
  });
  const answer = async (token: string, header = `Bearer ${token}`): Promise<string> =>
    auth.check(header).then(
      () => 'passed',
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );
  return { auth, answer, lines };
}

export const unverified = 'bad_token: failed to verify authorization token';
