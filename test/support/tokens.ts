import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';

export interface Issuer {
  /** The public half, as it stands in `compute_ctl_config.jwks`. */
  readonly jwks: { keys: object[] };
  readonly privateKey: KeyObject;
  token(claims: object): Promise<string>;
}

/** A control plane's key pair: Ed25519, fresh for every test. */
export function issuer(): Issuer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'EdDSA', use: 'sig' };
  const token = (claims: object): Promise<string> =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'test' })
      .setExpirationTime('10m')
      .sign(privateKey);
  return { jwks: { keys: [jwk] }, privateKey, token };
}
