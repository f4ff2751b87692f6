import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { explained } from '../../../src/core/errors.ts';
import { type TlsFiles, readPair } from '../../../src/postgres/tls.ts';
import { bringPair, placedPair, removePair } from '../../../src/postgres/tls-placed.ts';
import { scratchDir } from '../../support/cluster.ts';
import { type KeyKind, keyKinds, makePemPair, openssl, writePair } from '../../support/tls-pairs.ts';

let dir: string;
let pgdata: string;
beforeEach(() => {
  dir = scratchDir('tls');
  pgdata = join(dir, 'pgdata');
  mkdirSync(pgdata);
});
afterEach(() => rmSync(dir, { recursive: true }));

const placed = (name: string): string => readFileSync(join(pgdata, name), 'utf8');

const refused = (files: TlsFiles): Promise<unknown> =>
  readPair(files).then(
    () => 'taken',
    (error: { code: string }) => `${error.code}: ${explained(error)}`,
  );

const traditional: Partial<Record<KeyKind, string[]>> = {
  'RSA 2048': ['rsa', '-traditional'],
  'P-256': ['ec'],
  'P-384': ['ec'],
  'P-521': ['ec'],
};

test.each((Object.keys(keyKinds) as KeyKind[]).filter((kind) => kind !== 'RSA 1024' && kind !== 'secp256k1'))(
  'a pair of kind %s is brought, readable by Postgres alone, in every form of its key and with every end of line',
  async (kind) => {
    const pkcs8 = makePemPair('db.example.com', kind);
    const forms = [pkcs8.key];
    const convert = traditional[kind];
    if (convert !== undefined) forms.push(openssl(convert, pkcs8.key));
    if (kind.startsWith('P-'))
      forms.push(
        openssl(['ecparam', '-name', kind === 'P-256' ? 'prime256v1' : `secp${kind.slice(2)}r1`]) + forms[1]!,
      );
    for (const key of forms)
      for (const end of ['\n', '\r\n']) {
        const pair = { key: key.replaceAll('\n', end), cert: pkcs8.cert.replaceAll('\n', end) };
        const files = writePair(dir, pair);
        const { inUse } = await bringPair(files, pgdata);
        expect(inUse.subject).toBe('CN=db.example.com');
        expect([placed('server.key'), placed('server.crt')]).toEqual([pair.key, pair.cert]);
      }
    for (const name of ['server.key', 'server.crt']) {
      expect(statSync(join(pgdata, name)).mode & 0o777).toBe(0o600);
      expect(statSync(join(pgdata, name)).uid).toBe(process.getuid?.());
    }
    expect(readdirSync(pgdata).length).toBe(4);
  },
);

test('chains, files with both parts, and text around the blocks are taken as they are', async () => {
  const [own, issuer] = [makePemPair('own'), makePemPair('issuer', 'RSA 2048')];
  const both = `Bag Attributes\n  friendlyName: own\n${own.key}${own.cert}${issuer.cert}`;
  const { inUse } = await bringPair(writePair(dir, { key: both, cert: both }), pgdata);
  expect(inUse.subject).toBe('CN=own');
  expect(placed('server.crt')).toBe(both);
});

test('a certificate without a subject is named by what it is for', async () => {
  const key = openssl(['genpkey', ...keyKinds['P-256']]);
  writeFileSync(join(dir, 'key'), key);
  const names = ['-subj', '/', '-addext', 'subjectAltName=DNS:db.example.com,DNS:other'];
  const cert = openssl(['req', '-x509', '-key', join(dir, 'key'), '-days', '3', ...names]);
  expect(await readPair(writePair(dir, { key, cert }))).toMatchObject({ subject: 'DNS:db.example.com' });
});

test('what cannot be used is refused with the file and the reason', async () => {
  const [own, other] = [makePemPair('own'), makePemPair('other', 'RSA 2048')];
  const weak = makePemPair('weak', 'RSA 1024');
  const encrypted8 = openssl(['pkcs8', '-topk8', '-passout', 'pass:x'], own.key);
  const encrypted1 = openssl(['rsa', '-traditional', '-aes128', '-passout', 'pass:x'], other.key);
  const cases: [{ key: string; cert: string }, RegExp][] = [
    [{ key: other.key, cert: own.cert }, /tls\.key does not belong to the certificate .*tls\.crt/],
    [{ ...own, cert: other.cert + own.cert }, /belongs to certificate 2 of the file/],
    [{ ...own, key: encrypted8 }, /tls\.key is protected by a passphrase.*openssl pkey/],
    [{ ...other, key: encrypted1 }, /tls\.key is protected by a passphrase/],
    [{ ...own, key: '' }, /tls\.key is empty/],
    [{ ...own, cert: '\n' }, /tls\.crt is empty/],
    [{ ...own, key: own.key.slice(0, 90) }, /tls\.key is not complete: a PRIVATE KEY begins/],
    [{ ...own, cert: own.cert + other.cert.slice(0, 300) }, /tls\.crt is not complete: a CERTIFICATE/],
    [{ ...own, cert: `${own.cert}${other.cert.slice(0, 300)}\n${own.cert}` }, /tls\.crt is not complete/],
    [{ ...own, cert: own.cert + own.cert.replace(/^M/m, 'A') }, /chain \(certificate 2\)/],
    [{ ...own, key: openssl(['pkey', '-pubout'], own.key) }, /tls\.key is not a usable private key/],
    [weak, /OpenSSL refuses the TLS certificate .*tls\.crt: .*key too small/],
    [
      makePemPair('no-client', 'secp256k1'),
      /no client can use the TLS key .*tls\.key: its curve is secp256k1/,
    ],
    [{ ...own, cert: own.key }, /tls\.crt is not a usable certificate in PEM form.*BEGIN CERTIFICATE/],
    [{ ...own, cert: '\u0000'.repeat(2_000_000) }, /cannot read the TLS certificate/],
  ];
  for (const [pair, why] of cases) expect(await refused(writePair(dir, pair))).toMatch(why);
  const files = writePair(dir, own);
  expect(await refused({ ...files, keyPath: join(dir, 'none') })).toMatch(/none \(ENOENT\)/);
  expect(await refused({ ...files, certPath: dir })).toMatch(/^tls: cannot read the TLS certificate/);
  chmodSync(files.keyPath, 0);
  expect(await refused(files)).toMatch(/^tls: cannot read the TLS key .* \(EACCES\)/);
  expect(readdirSync(pgdata)).toEqual([]);
});

test('PGDATA never holds the key of one pair and the certificate of another, and of each pair only its own', async () => {
  const pairs = [makePemPair('a'), makePemPair('b')];
  await bringPair(writePair(dir, pairs[0]!), pgdata);
  for (let turn = 1; turn <= 60; turn++) {
    const before = readlinkSync(join(pgdata, 'compute_ctl_tls'));
    const inside = join(pgdata, before);
    const held = [
      readFileSync(join(inside, 'server.key'), 'utf8'),
      readFileSync(join(inside, 'server.crt'), 'utf8'),
    ];
    expect(held).toEqual(Object.values(pairs[(turn - 1) % 2]!));
    await bringPair(writePair(dir, pairs[turn % 2]!), pgdata);
  }
  expect(readdirSync(pgdata).length).toBe(4);
});

test('plain files in the way, as of an earlier release, and what a broken try has left are replaced', async () => {
  writeFileSync(join(pgdata, 'server.key'), 'old');
  writeFileSync(join(pgdata, 'server.crt'), 'old');
  mkdirSync(join(pgdata, 'compute_ctl_tls.0123456789abcdef'));
  symlinkSync('/etc', join(pgdata, 'compute_ctl_tls.new'));
  const pair = makePemPair('own');
  await bringPair(writePair(dir, pair), pgdata);
  expect(placed('server.key')).toBe(pair.key);
  expect(readdirSync(pgdata).length).toBe(4);
  removePair(pgdata);
  expect(readdirSync(pgdata)).toEqual([]);
});

test('a pair that is not valid does not replace one that is; where none is valid, the newest is taken', async () => {
  const [good, expired] = [makePemPair('good'), makePemPair('expired', 'P-256', [-9, -1])];
  const future = makePemPair('future', 'Ed25519', [2, 90]);
  expect((await bringPair(writePair(dir, expired), pgdata)).inUse.subject).toBe('CN=expired');
  expect((await bringPair(writePair(dir, future), pgdata)).inUse.subject).toBe('CN=future');
  expect((await bringPair(writePair(dir, good), pgdata)).inUse.subject).toBe('CN=good');
  for (const next of [expired, future]) {
    const { inUse, inFiles } = await bringPair(writePair(dir, next), pgdata);
    expect([inUse.subject, inFiles.subject === 'CN=good']).toEqual(['CN=good', false]);
  }
  expect((await placedPair(pgdata))?.subject).toBe('CN=good');
});
