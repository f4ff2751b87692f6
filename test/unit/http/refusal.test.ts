import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { ed, jwk, now, other, sign, subject } from './token-support.ts';

interface Line {
  readonly level: string | number;
  readonly reason?: string;
  readonly unlogged?: number;
  readonly msg: string;
}

const refusals = (lines: readonly string[]): Line[] =>
  lines.map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg.startsWith('token refused'));

test('the log says why a token is refused, and by how much its times are wrong', async () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const cases: [string, RegExp, string][] = [
    ['expired', /it expired 125 s ago/, await sign({ compute_id: 'c1', exp: now - 125 })],
    ['not-yet-valid', /it becomes valid in 300 s/, await sign({ compute_id: 'c1', nbf: now + 300 })],
    [
      'unknown-key',
      /no key of this compute has signed it \(kid "new"; keys: "old"\)/,
      await sign({ compute_id: 'c1' }, other, { alg: 'EdDSA', kid: 'new' }),
    ],
    ['unknown-key', /\(no kid; keys: "old"\)/, await sign({ compute_id: 'c1' }, other)],
    [
      'wrong-signature',
      /not that of the key "old"/,
      await sign({ compute_id: 'c1' }, other, { alg: 'EdDSA', kid: 'old' }),
    ],
    ['wrong-compute', /it is for compute "c2", this one is "c1"/, await sign({ compute_id: 'c2' })],
    ['wrong-compute', /compute_id is missing/, await sign({})],
    ['wrong-audience', /aud is missing/, await sign({ scope: 'compute_ctl:admin' })],
    ['wrong-audience', /without "compute"/, await sign({ scope: 'compute_ctl:admin', aud: ['x'] })],
    ['unusable-claims', /scope is not/, await sign({ scope: 'x' })],
    ['unusable-claims', /exp is not a number/, await sign({ compute_id: 'c1', exp: null })],
    ['wrong-algorithm', /signed by "RS256"/, await sign({ compute_id: 'c1' }, rsa, { alg: 'RS256' })],
    ['malformed', /header cannot be read/, 'x'],
    ['malformed', /cannot be read/, 'e30.x'],
  ];
  for (const [reason, words, token] of cases) {
    const { answer, lines } = subject({ jwks: { keys: [jwk(ed, { kid: 'old' })] } });
    expect(await answer(token)).not.toBe('passed');
    expect([token, refusals(lines)]).toEqual([
      token,
      [expect.objectContaining({ reason, msg: expect.stringMatching(words) as string })],
    ]);
  }
  const strict = subject({ requireExp: true });
  expect(await strict.answer(await sign({ compute_id: 'c1', exp: undefined }))).not.toBe('passed');
  expect(refusals(strict.lines)).toMatchObject([
    { reason: 'no-expiry', msg: 'token refused: the claim exp is missing, and --require-token-exp is given' },
  ]);
  const { answer, lines } = subject({ jwks: { keys: [] } });
  await answer(await sign({ compute_id: 'c1' }));
  await answer('', 'Basic x');
  expect(refusals(lines).map(({ reason }) => reason)).toEqual(['no-keys', 'not-a-bearer-token']);
});

test('each reason is logged once a minute, with the number of refusals in between', async () => {
  let ms = 5000;
  const { answer, auth, lines } = subject({ monotonicMs: () => ms });
  const [late, foreign] = [await sign({ exp: now - 100 }), await sign({}, other)];
  for (let at = 0; at < 500; at++) await answer(late);
  for (let at = 0; at < 3; at++) await answer(foreign);
  for (let at = 0; at < 3; at++) await auth.check(undefined).catch(() => {});
  expect(refusals(lines).map(({ reason, unlogged }) => [reason, unlogged])).toEqual([
    ['expired', undefined],
    ['unknown-key', undefined],
    ['no-token', undefined],
  ]);
  ms += 59_999;
  await answer(late);
  expect(refusals(lines)).toHaveLength(3);
  ms += 1;
  await answer(late);
  await answer(foreign);
  expect(
    refusals(lines)
      .slice(3)
      .map(({ reason, unlogged }) => [reason, unlogged]),
  ).toEqual([
    ['expired', 500],
    ['unknown-key', 2],
  ]);
});

test('nothing of a refused token is in the log, whatever names it chose', async () => {
  const names = ['x'.repeat(100), 'a\nb', '\u001b[31m', 'eyJ "quoted"', '<script>'];
  for (const name of names) {
    const tokens = [
      await sign({ compute_id: name }),
      await sign({ scope: name }),
      await sign({ compute_id: 'c1' }, other, { alg: 'EdDSA', kid: name }),
      await sign({ scope: 'compute_ctl:admin', aud: [name] }),
    ];
    const { answer, lines } = subject();
    for (const token of tokens) {
      await answer(token);
      for (const part of token.split('.')) expect(lines.join('')).not.toContain(part);
    }
    expect(refusals(lines)).toHaveLength(4);
    expect(lines.join('')).not.toContain(JSON.stringify(name).slice(1, -1));
  }
});
