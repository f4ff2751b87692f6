import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { mintToken } from '../../../src/client/index.ts';
import { createJwtAuth } from '../../../src/http/jwt.ts';
import { recorder } from '../http/support.ts';

const pairs = {
  Ed25519: generateKeyPairSync('ed25519'),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

const check = (pair: (typeof pairs)['RSA'], alg: string, token: string): Promise<void> =>
  createJwtAuth({
    computeId: 'c1',
    jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), alg, kid: 'k' }] },
    log: recorder().log,
  }).check(`Bearer ${token}`);

test('tokens of both kinds of keys, in every form of a key, open the compute they are for', async () => {
  for (const [name, pair] of Object.entries(pairs)) {
    const alg = name === 'RSA' ? 'RS256' : 'EdDSA';
    const { privateKey } = pair;
    const forms = [
      privateKey,
      privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      privateKey.export({ format: 'jwk' }),
    ];
    for (const key of forms) {
      await check(pair, alg, mintToken({ key, kid: 'k', for: { computeId: 'c1' } }));
      await check(pair, alg, mintToken({ key, for: 'admin' }));
      const another = mintToken({ key, for: { computeId: 'c2' } });
      await expect(check(pair, alg, another)).rejects.toMatchObject({ code: 'forbidden' });
    }
  }
});

test('a token is good for an hour unless it is asked for less', async () => {
  const key = pairs.Ed25519.privateKey;
  const claims = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;
  expect(claims(mintToken({ key, for: 'admin', nowMs: 1000 }))).toEqual({
    scope: 'compute_ctl:admin',
    aud: ['compute'],
    iat: 1,
    exp: 3601,
  });
  const late = mintToken({ key, for: { computeId: 'c1' }, nowMs: Date.now() - 7_200_000 });
  await expect(check(pairs.Ed25519, 'EdDSA', late)).rejects.toMatchObject({ code: 'bad_token' });
});

test('a key that cannot sign is named', () => {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  expect(() => mintToken({ key, for: 'admin' })).toThrow('a key of type ec cannot sign tokens');
});
