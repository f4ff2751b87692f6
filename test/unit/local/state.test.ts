import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importJWK, jwtVerify } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { computeToken } from '../../../src/local/compute-api.ts';
import { localSpec } from '../../../src/local/spec.ts';
import { createState, localDir, readState, stateOf } from '../../../src/local/state.ts';
import { scramVerifier } from '../../../src/local/scram-verifier.ts';

const ports = {
  postgres: 1,
  externalHttp: 2,
  internalHttp: 3,
  pageserver: 4,
  safekeeper: 5,
  controlPlane: 6,
};

function freshDir(): ReturnType<typeof localDir> {
  const path = mkdtempSync(join(tmpdir(), 'state-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return localDir(path);
}

test('the state is read back as it was written, and only its owner may read it', () => {
  const dir = freshDir();
  expect(readState(dir)).toBeNull();
  const state = createState(dir, ports);
  expect(readState(dir)).toEqual(state);
  expect(statSync(dir.state).mode & 0o777).toBe(0o600);
});

test('a damaged state is refused by name instead of being made anew', () => {
  const dir = freshDir();
  writeFileSync(dir.state, '{');
  expect(() => readState(dir)).toThrow(dir.state);
  writeFileSync(dir.state, '{"version":2}');
  expect(() => readState(dir)).toThrow('a newer version');
});

test('commands that need a compute say how to make one', () => {
  expect(() => stateOf(freshDir())).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('compute-local up') }),
  );
});

test('a path too long for a socket is refused before anything is made', () => {
  expect(() => localDir(`/${'x'.repeat(100)}`)).toThrow('too long');
});

test('a password verifier is what PostgreSQL computes', () => {
  // From RFC 7677, whose example uses this password, salt and iteration count.
  expect(scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('tokens verify with the key that the spec announces, which does not contain the private part', async () => {
  const dir = freshDir();
  const state = createState(dir, ports);
  const { compute_ctl_config } = localSpec(dir, { ...state, ports }) as {
    compute_ctl_config: { jwks: { keys: { kty: 'OKP'; crv: string; x: string }[] } };
  };
  const [key] = compute_ctl_config.jwks.keys;
  expect(JSON.stringify(compute_ctl_config)).not.toContain(state.signingKey.d);
  const { payload } = await jwtVerify(computeToken(state, 60), await importJWK(key!, 'EdDSA'));
  expect(payload['compute_id']).toBe(state.computeId);
  expect(createPublicKey({ key: { ...key! }, format: 'jwk' }).asymmetricKeyType).toBe('ed25519');
});
