import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { CompactSign, type JWTHeaderParameters } from 'jose';
import { expect, test } from 'vitest';
import { withServer } from './support.ts';
import { ed, now, other, sign, subject, unverified } from './token-support.ts';

test('a request without a token is refused as unauthenticated, a header that is not a bearer token as malformed', async () => {
  const { auth, answer } = subject();
  await expect(auth.check(undefined)).rejects.toMatchObject({ code: 'bad_token' });
  for (const header of [
    '',
    'Bearer',
    'Bearer  ',
    'Basic abc',
    'Token a.b.c',
    'Bearer \xe4',
    'Bearer a b',
    'Bearera',
  ]) {
    expect([header, await answer('', header)]).toEqual([header, 'no_token: invalid authorization token']);
  }
});

test('the scheme may be in any case and be followed by several spaces', async () => {
  const { answer } = subject();
  const token = await sign({ compute_id: 'c1' });
  for (const header of [`bearer ${token}`, `BEARER   ${token}`, `  Bearer ${token} `]) {
    expect(await answer('', header)).toBe('passed');
  }
});

test('a token without the admin scope must be for this compute', async () => {
  const { answer } = subject();
  const claims = 'authorization token claims';
  expect(await answer(await sign({ compute_id: 'c1', aud: ['other'] }))).toBe('passed');
  expect(await answer(await sign({ compute_id: 'c1', scope: null, aud: null }))).toBe('passed');
  expect(await answer(await sign({}))).toBe(`forbidden: missing compute_id in ${claims}`);
  expect(await answer(await sign({ compute_id: null }))).toBe(`forbidden: missing compute_id in ${claims}`);
  expect(await answer(await sign({ compute_id: 'C1' }))).toBe(`forbidden: invalid compute ID in ${claims}`);
});

test('a token with the admin scope must be for the audience compute, whatever its compute id', async () => {
  const { answer } = subject();
  const scope = 'compute_ctl:admin';
  const claims = 'authorization token claims';
  expect(await answer(await sign({ scope, aud: ['x', 'compute'], compute_id: 'another' }))).toBe('passed');
  expect(await answer(await sign({ scope, compute_id: 'c1' }))).toBe(
    `bad_token: missing audience in ${claims}`,
  );
  expect(await answer(await sign({ scope, aud: null }))).toBe(`bad_token: missing audience in ${claims}`);
  expect(await answer(await sign({ scope, aud: [] }))).toBe(`bad_token: invalid audience in ${claims}`);
  expect(await answer(await sign({ scope, aud: ['pageserver'] }))).toBe(
    `bad_token: invalid audience in ${claims}`,
  );
});

test('claims of the wrong type are refused like a bad signature', async () => {
  const { answer } = subject();
  const wrong: object[] = [{ aud: 'compute' }, { aud: [1] }, { scope: 'x' }, { scope: 1 }, { compute_id: 5 }];
  for (const claims of wrong)
    expect(await answer(await sign({ compute_id: 'c1', ...claims }))).toBe(unverified);
});

test('a compute without an id passes nobody but admins', async () => {
  const { answer } = subject({ computeId: null });
  expect(await answer(await sign({ compute_id: null }))).toMatch('forbidden');
  expect(await answer(await sign({ compute_id: 'null' }))).toMatch('forbidden');
  expect(await answer(await sign({ scope: 'compute_ctl:admin', aud: ['compute'] }))).toBe('passed');
});

test('exp and nbf hold with 60 seconds of leeway, and what is not a finite number is refused', async () => {
  const { answer } = subject();
  const times: [object, boolean][] = [
    [{ exp: now - 60 }, true],
    [{ exp: now - 61 }, false],
    [{ exp: now + 0.5 }, true],
    [{ nbf: now + 60 }, true],
    [{ nbf: now + 61 }, false],
    [{ exp: null }, false],
    [{ iat: 'any', iss: 5, sub: [] }, true],
  ];
  for (const [claims, passes] of times) {
    const found = await answer(await sign({ compute_id: 'c1', ...claims }));
    expect([claims, found]).toEqual([claims, passes ? 'passed' : unverified]);
  }
});

const forge = (payload: string, header = '{"alg":"EdDSA"}', signature = ''): string =>
  [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.') + `.${signature}`;

const signText = (payload: string): Promise<string> =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: 'EdDSA' }).sign(ed.privateKey);

test('an unusable exp is refused: a string, beyond all numbers, not JSON at all', async () => {
  const { answer } = subject();
  const payloads = [
    '{"compute_id":"c1","exp":"99999999999"}',
    '{"compute_id":"c1","exp":1e999}',
    '[]',
    'x',
    '"c1"',
    '',
  ];
  for (const payload of payloads) {
    expect([payload, await answer(await signText(payload))]).toEqual([payload, unverified]);
  }
});

test('a token that never expires passes, with one line in the log, and not where exp is required', async () => {
  // As the original's claims are written: what is not set is null.
  const eternal = await signText('{"compute_id":"c1","scope":null,"aud":null}');
  const admin = await signText('{"compute_id":null,"scope":"compute_ctl:admin","aud":["compute"]}');
  const lenient = subject();
  for (const token of [eternal, admin, eternal]) expect(await lenient.answer(token)).toBe('passed');
  expect(lenient.lines.filter((line) => line.includes('never expires'))).toHaveLength(1);
  const strict = subject({ requireExp: true });
  for (const token of [eternal, admin]) expect(await strict.answer(token)).toBe(unverified);
  expect(strict.lines.join('')).toContain('--require-token-exp');
  expect(await strict.answer(await sign({ compute_id: 'c1' }))).toBe('passed');
});

test('a token that is refused for another reason is not told of as one that never expires', async () => {
  const { answer, lines } = subject();
  expect(await answer(await signText('{"compute_id":"c2"}'))).toMatch('forbidden');
  expect(lines.join('')).not.toContain('never expires');
});

test('alg none, HS256 with the public key, a foreign key and a changed payload do not pass', async () => {
  const { answer, lines } = subject();
  const claims = JSON.stringify({ compute_id: 'c1', exp: now + 600 });
  for (const alg of ['none', 'None', 'NONE', '']) {
    expect(await answer(forge(claims, JSON.stringify({ alg })))).toBe(unverified);
  }
  const secrets = [
    ed.publicKey.export({ format: 'pem', type: 'spki' }),
    ed.publicKey.export({ format: 'der', type: 'spki' }),
    Buffer.from(String(ed.publicKey.export({ format: 'jwk' }).x), 'base64url'),
  ];
  for (const secret of secrets) {
    const unsigned = forge(claims, '{"alg":"HS256"}');
    const mac = createHmac('sha256', secret).update(unsigned.slice(0, -1)).digest('base64url');
    expect(await answer(unsigned + mac)).toBe(unverified);
  }
  expect(await answer(await sign({ compute_id: 'c1' }, other))).toBe(unverified);
  const [header, , signature] = (await sign({ compute_id: 'c2' })).split('.');
  const swapped = `${header}.${Buffer.from(claims).toString('base64url')}.${signature}`;
  expect(await answer(swapped)).toBe(unverified);
  const embedded = { alg: 'EdDSA', jwk: other.publicKey.export({ format: 'jwk' }) } as JWTHeaderParameters;
  expect(await answer(await sign({ compute_id: 'c1' }, other, embedded))).toBe(unverified);
  expect(lines.join('')).not.toContain(swapped);
  expect(lines.join('')).not.toContain(signature);
});

test('random tokens never pass and never fail in another way', () =>
  withServer({}, async ({ send }) => {
    const part = fc.oneof(
      fc.base64String(),
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
    );
    const token = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.')),
      fc
        .record({ alg: fc.constantFrom('none', 'HS256', 'EdDSA', 'Ed25519', 'RS256'), kid: fc.string() })
        .map((header) =>
          forge('{"compute_id":"compute-1","exp":99999999999}', JSON.stringify(header), 'AAAA'),
        ),
    );
    await fc.assert(
      fc.asyncProperty(token, async (text) => {
        const printable = text.replaceAll(/[^\x20-\x7e]/g, 'x');
        const { status } = await send('GET', '/status', {
          headers: { authorization: `Bearer ${printable}` },
        });
        expect([400, 401]).toContain(status);
      }),
      { numRuns: 300 },
    );
  }));

test('checking is never switched off without a reason in the log', async () => {
  process.env['INSTANCE_ID'] = 'stray';
  try {
    expect(await subject().answer('x')).toBe(unverified);
  } finally {
    delete process.env['INSTANCE_ID'];
  }
  const { auth, lines } = subject({ switchedOffBecause: 'the test asked for it' });
  await auth.check(undefined);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 40,
    msg: expect.stringContaining('the test asked') as string,
  });
});
