import { expect, test } from 'vitest';
import { loadKeys } from '../../../src/http/keys.ts';
import { KnownTokens } from '../../../src/http/known-tokens.ts';
import { recorder } from './support.ts';
import { ed, jwk, now, other, sign, subject, unverified } from './token-support.ts';

test('a token that was good before is refused when it has expired meanwhile', async () => {
  let seconds = now;
  const { answer } = subject({ nowMs: () => seconds * 1000 });
  const token = await sign({ compute_id: 'c1', exp: now + 10 });
  expect(await answer(token)).toBe('passed');
  seconds = now + 71;
  expect(await answer(token)).toBe(unverified);
});

test('new keys forget the tokens of the old ones', async () => {
  const { auth, answer } = subject();
  const token = await sign({ compute_id: 'c1' });
  expect([await answer(token), await answer(token)]).toEqual(['passed', 'passed']);
  await auth.setKeys({ keys: [jwk(other)] });
  expect(await answer(token)).toBe(unverified);
});

test('a refused token is not remembered, and one byte makes another token', async () => {
  const known = new KnownTokens(await loadKeys({ keys: [jwk(ed)] }, recorder().log));
  const token = await sign({ compute_id: 'c1' });
  await known.claimsOf(token);
  const [head = '', claims = '', signature = ''] = token.split('.');
  const changed = `${head}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
  await expect(known.claimsOf(changed)).rejects.toMatchObject({ reason: 'unknown-key' });
  expect(known.size).toBe(1);
});

test('however many tokens come, only some are kept', async () => {
  const known = new KnownTokens(await loadKeys({ keys: [jwk(ed)] }, recorder().log));
  for (let at = 0; at < 300; at++) await known.claimsOf(await sign({ compute_id: `c${at}` }));
  expect(known.size).toBe(256);
});
