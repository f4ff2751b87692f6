import { type JsonWebKey, KeyObject, createPrivateKey, sign } from 'node:crypto';

/** A `KeyObject` of node:crypto, declared without Node's types. */
export interface NodeKey {
  readonly type: string;
  readonly asymmetricKeyType?: string | undefined;
}

export interface TokenOptions {
  /** The private half of a key in `compute_ctl_config.jwks`: Ed25519 or RSA; PEM, JWK or KeyObject. */
  readonly key: NodeKey | Readonly<Record<string, unknown>> | string;
  /** That key's `kid`. Without it the compute tries all its keys. */
  readonly kid?: string;
  /** The compute that the token is valid for; `admin`: every compute that has the key. */
  readonly for: { readonly computeId: string } | 'admin';
  /** Seconds until it expires. Default: an hour. */
  readonly expiresInSeconds?: number;
  /** Milliseconds since 1970. Default: now. */
  readonly nowMs?: number;
}

/** A bearer token for the external server. */
export function mintToken(options: TokenOptions): string {
  const { kid, expiresInSeconds = 3600, nowMs = Date.now() } = options;
  const key = privateKey(options.key);
  const [alg, digest] = algorithm(key);
  const iat = Math.floor(nowMs / 1000);
  const whom =
    options.for === 'admin'
      ? { scope: 'compute_ctl:admin', aud: ['compute'] }
      : { compute_id: options.for.computeId };
  const header = { alg, typ: 'JWT', ...(kid !== undefined && { kid }) };
  const signed = `${encode(header)}.${encode({ ...whom, iat, exp: iat + expiresInSeconds })}`;
  return `${signed}.${sign(digest, Buffer.from(signed), key).toString('base64url')}`;
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

function privateKey(key: TokenOptions['key']): KeyObject {
  if (key instanceof KeyObject) return key;
  return typeof key === 'string'
    ? createPrivateKey(key)
    : createPrivateKey({ key: key as JsonWebKey, format: 'jwk' });
}

function algorithm({ asymmetricKeyType }: KeyObject): ['EdDSA', null] | ['RS256', 'sha256'] {
  if (asymmetricKeyType === 'ed25519') return ['EdDSA', null];
  if (asymmetricKeyType === 'rsa') return ['RS256', 'sha256'];
  throw new TypeError(
    `a key of type ${asymmetricKeyType ?? 'secret'} cannot sign tokens: use Ed25519 or RSA`,
  );
}
