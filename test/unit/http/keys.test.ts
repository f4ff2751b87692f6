import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { ed, jwk, now, other, sign, subject, unverified } from './token-support.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

test('two keys of one kind work without kid, and the key that kid names is tried first', async () => {
  const keys = [jwk(other, { kid: 'b' }), jwk(ed, { kid: 'a' })];
  const { answer } = subject({ jwks: { keys } });
  for (const pair of [ed, other]) {
    expect(await answer(await sign({ compute_id: 'c1' }, pair))).toBe('passed');
    for (const kid of ['a', 'b', 'unknown']) {
      expect(await answer(await sign({ compute_id: 'c1' }, pair, { alg: 'EdDSA', kid }))).toBe('passed');
    }
  }
});

test('the two names of one algorithm are the same, in the token and in the key', async () => {
  for (const alg of ['EdDSA', 'Ed25519']) {
    const { answer } = subject({ jwks: { keys: [jwk(ed, { alg })] } });
    for (const name of ['EdDSA', 'Ed25519']) {
      expect(await answer(await sign({ compute_id: 'c1' }, ed, { alg: name }))).toBe('passed');
    }
  }
});

test('one RS256 key in the set makes it RS256 alone', async () => {
  const keys = [jwk(ed), { ...rsa.publicKey.export({ format: 'jwk' }), alg: 'RS256' }];
  const { answer } = subject({ jwks: { keys } });
  const signed = (alg: string) =>
    new SignJWT({ exp: now + 600, compute_id: 'c1' }).setProtectedHeader({ alg }).sign(rsa.privateKey);
  expect(await answer(await signed('RS256'))).toBe('passed');
  for (const alg of ['RS512', 'PS256']) expect(await answer(await signed(alg))).toBe(unverified);
  expect(await answer(await sign({ compute_id: 'c1' }))).toBe(unverified);
});

test('keys that cannot be used are skipped with a warning, also those without kid', async () => {
  const unusable = [
    { kty: 'OKP', crv: 'Ed25519', x: '!!' },
    { kty: 'oct', k: 'AAAA', kid: 'symmetric' },
    { kty: 'RSA' },
    jwk(ed, { use: 'enc' }),
    jwk(ed, { key_ops: ['sign'] }),
  ];
  const token = await sign({ compute_id: 'c1' });
  const { answer, lines } = subject({ jwks: { keys: [...unusable, jwk(ed)] } });
  expect(await answer(token)).toBe('passed');
  expect(lines.filter((line) => line.includes('is not used')).length).toBe(unusable.length);
  expect(lines.join('')).toContain('no kid');
  expect(await subject({ jwks: { keys: unusable } }).answer(token)).toBe(unverified);
  expect(await subject({ jwks: { keys: [] } }).answer(token)).toBe(unverified);
});

test('new keys take the place of the old ones; an empty set does not lock everybody out', async () => {
  const { auth, answer, lines } = subject();
  const [before, after] = [await sign({ compute_id: 'c1' }), await sign({ compute_id: 'c1' }, other)];
  expect(await answer(before)).toBe('passed');
  expect(await auth.setKeys({ keys: [] })).toBe(false);
  expect(await answer(before)).toBe('passed');
  expect(lines.join('')).toContain('the current keys stay in use');
  expect(await auth.setKeys({ keys: [jwk(other)] })).toBe(true);
  expect(await answer(before)).toBe(unverified);
  expect(await answer(after)).toBe('passed');
});
