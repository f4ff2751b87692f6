import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyTlsPair } from '../../../src/postgres/tls.ts';
import { scratchDir } from '../../support/cluster.ts';

let dir: string;
beforeEach(() => {
  dir = scratchDir('tls');
});
afterEach(() => rmSync(dir, { recursive: true }));

const kinds = {
  'RSA, PKCS#8': ['-newkey', 'rsa:2048'],
  'P-256, PKCS#8': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  Ed25519: ['-newkey', 'ed25519'],
};

function makePair(args: readonly string[], name = 'tls'): { keyPath: string; certPath: string } {
  const [keyPath, certPath] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const common = ['req', '-x509', '-nodes', '-days', '1', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...common, ...args, '-keyout', keyPath, '-out', certPath], { stdio: 'pipe' });
  return { keyPath, certPath };
}

const copy = (files: { keyPath: string; certPath: string }, limitMs = 100): Promise<void> => {
  const log = pino({ level: 'silent' });
  return copyTlsPair(files, dir, { limitMs, log }, new AbortController().signal);
};

test.each(Object.entries(kinds))(
  'a pair of kind %s is copied, readable by Postgres alone',
  async (_kind, args) => {
    const files = makePair(args);
    await copy(files);
    expect(readFileSync(join(dir, 'server.key'), 'utf8')).toBe(readFileSync(files.keyPath, 'utf8'));
    expect(readFileSync(join(dir, 'server.crt'), 'utf8')).toBe(readFileSync(files.certPath, 'utf8'));
    expect(statSync(join(dir, 'server.key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'server.key')).uid).toBe(process.getuid?.());
    expect(readdirSync(dir).length).toBe(4);
  },
);

test('a SEC1 key is taken as well', async () => {
  const files = makePair(kinds['P-256, PKCS#8']);
  const sec1 = execFileSync('openssl', ['ec', '-in', files.keyPath], { stdio: ['ignore', 'pipe', 'ignore'] });
  writeFileSync(files.keyPath, sec1);
  await copy(files);
  expect(readFileSync(join(dir, 'server.key'), 'utf8')).toContain('BEGIN EC PRIVATE KEY');
});

test('a key of another certificate, a missing file and garbage end the wait with a clear error', async () => {
  const files = makePair(kinds.Ed25519);
  const other = makePair(kinds.Ed25519, 'other');
  const mixed = { keyPath: other.keyPath, certPath: files.certPath };
  await expect(copy(mixed)).rejects.toMatchObject({
    code: 'tls',
    message: expect.stringContaining('does not belong to') as string,
  });
  await expect(copy({ ...files, keyPath: join(dir, 'none.key') })).rejects.toThrow('none.key (ENOENT)');
  writeFileSync(other.certPath, 'garbage');
  await expect(copy(other)).rejects.toThrow(`${other.certPath} is not a usable certificate`);
  expect(readdirSync(dir)).not.toContain('server.key');
});

test('a pair in the middle of a renewal is waited for', async () => {
  const files = makePair(kinds.Ed25519);
  const renewed = makePair(kinds.Ed25519, 'new');
  renameSync(renewed.keyPath, files.keyPath);
  const copied = copy(files, 10_000);
  // Whether the first look comes before or after it, the end is the same.
  setTimeout(() => renameSync(renewed.certPath, files.certPath), 50);
  await copied;
  expect(readFileSync(join(dir, 'server.crt'), 'utf8')).toBe(readFileSync(files.certPath, 'utf8'));
});
