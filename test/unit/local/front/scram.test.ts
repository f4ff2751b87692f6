import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  KeyLogin,
  clientKeyOf,
  mockVerifier,
  opens,
  parseVerifier,
  readClientFinal,
  readClientFirst,
  serverFinal,
  serverFirst,
} from '../../../../src/local/front/scram.ts';
import { scramVerifier } from '../../../../src/local/scram-verifier.ts';

/** The exchange of RFC 7677, with the password `pencil`. */
const rfc = {
  verifier: parseVerifier(scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')))!,
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};
const before = { clientFirstBare: readClientFirst(rfc.first)!.bare, serverFirst: rfc.serverFirst };

test('the exchange of RFC 7677 is understood, and answered as there', () => {
  const exchange = readClientFinal(rfc.final, before)!;
  const key = clientKeyOf(exchange, rfc.verifier)!;
  expect(opens(key, rfc.verifier)).toBe(true);
  expect(serverFinal(exchange, rfc.verifier)).toBe(rfc.serverFinal);
});

test('a key that a client has shown logs in again, to whoever has the verifier', () => {
  const key = clientKeyOf(readClientFinal(rfc.final, before)!, rfc.verifier)!;
  const login = new KeyLogin(key);
  const first = readClientFirst(login.first())!;
  const answer = serverFirst(first.nonce, rfc.verifier);
  const again = readClientFinal(login.final(answer), { clientFirstBare: first.bare, serverFirst: answer })!;
  expect(clientKeyOf(again, rfc.verifier)).toEqual(key);
});

test('another password, another salt and a changed proof are refused', () => {
  const exchange = readClientFinal(rfc.final, before)!;
  expect(clientKeyOf(exchange, parseVerifier(scramVerifier('pencil'))!)).toBeNull();
  expect(clientKeyOf(exchange, mockVerifier('user', randomBytes(32)))).toBeNull();
  const proof = Buffer.from(exchange.proof.map((byte) => byte ^ 1));
  expect(clientKeyOf({ ...exchange, proof }, rfc.verifier)).toBeNull();
  expect(clientKeyOf({ ...exchange, proof: proof.subarray(1) }, rfc.verifier)).toBeNull();
});

test.each(['', 'n,,', 'p=tls-server-end-point,,n=,r=abc', 'n,,n=,r=', 'n,,m=x,n=,r=abc', 'x'])(
  'the first message %j is none',
  (text) => {
    expect(readClientFirst(text)).toBeNull();
  },
);

test.each([
  '',
  'c=biws,r=other,p=dHzb',
  rfc.final.replace('biws', 'cD10bHM='),
  rfc.final.replace(/,p=.*/, ''),
  `${rfc.final}!`,
])('the last message %j does not continue the exchange', (text) => {
  expect(readClientFinal(text, before)).toBeNull();
});

test.each([null, '', 'md5d41d8cd98f00b204e9800998ecf8427e', 'SCRAM-SHA-256$4096:c2FsdA==$AA==:AA=='])(
  '%j is not a verifier',
  (text) => {
    expect(parseVerifier(text)).toBeNull();
  },
);

test('a role that does not exist has the same salt each time, and another one than others', () => {
  const secret = randomBytes(32);
  expect(mockVerifier('a', secret).salt).toBe(mockVerifier('a', secret).salt);
  expect(mockVerifier('a', secret).salt).not.toBe(mockVerifier('b', secret).salt);
});
