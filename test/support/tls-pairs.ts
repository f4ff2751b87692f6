import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsFiles } from '../../src/postgres/tls.ts';
import { scratchDir } from './scratch.ts';

/** What `openssl genpkey` makes of each. */
export const keyKinds = {
  'RSA 1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  'RSA 2048': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'P-521': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  Ed25519: ['-algorithm', 'ED25519'],
} as const;
export type KeyKind = keyof typeof keyKinds;

export interface PemPair {
  readonly key: string;
  readonly cert: string;
}

export const openssl = (args: readonly string[], input = ''): string =>
  execFileSync('openssl', args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });

const day = 86_400_000;

/** `YYYYMMDDHHMMSSZ`. */
const asn1 = (ms: number): string => new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');

/** A self-signed pair, the key in PKCS#8.
 *  @param days when it begins and ends to be valid, from now */
export function makePemPair(
  name: string,
  kind: KeyKind = 'P-256',
  days: readonly [number, number] = [-1, 90],
): PemPair {
  const dir = mkdtempSync(join(scratchDir('ca'), 'one-'));
  const file = (end: string): string => join(dir, end);
  const key = openssl(['genpkey', ...keyKinds[kind]]);
  writeFileSync(file('key'), key);
  writeFileSync(
    file('ca.cnf'),
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${file('index')}\nrand_serial=yes\nnew_certs_dir=${dir}\npolicy=any\ndefault_md=sha256\nx509_extensions=ext\nunique_subject=no\n[any]\ncommonName=supplied\n[ext]\nsubjectAltName=DNS:${name}\nbasicConstraints=CA:TRUE\n`,
  );
  writeFileSync(file('index'), '');
  openssl(['req', '-new', '-key', file('key'), '-subj', `/CN=${name}`, '-out', file('csr')]);
  const [from, to] = days.map((each) => asn1(Date.now() + each * day)) as [string, string];
  const ca = ['ca', '-batch', '-selfsign', '-notext', '-config', file('ca.cnf'), '-keyfile', file('key')];
  openssl([...ca, '-startdate', from, '-enddate', to, '-in', file('csr'), '-out', file('crt')]);
  const cert = readFileSync(file('crt'), 'utf8');
  rmSync(join(dir, '..'), { recursive: true });
  return { key, cert };
}

/** Writes a pair into a directory as `tls.key` and `tls.crt`. */
export function writePair(dir: string, { key, cert }: PemPair): TlsFiles {
  const files = { keyPath: join(dir, 'tls.key'), certPath: join(dir, 'tls.crt') };
  writeFileSync(files.keyPath, key);
  writeFileSync(files.certPath, cert);
  return files;
}
