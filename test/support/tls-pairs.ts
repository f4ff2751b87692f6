import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  /** Bitcoin's curve, which TLS does not have. */
  secp256k1: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
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
  days: readonly [number, number] = [0, 90],
): PemPair {
  const dir = scratchDir('ca');
  const at = (end: string): string => join(dir, end);
  try {
    const key = openssl(['genpkey', ...keyKinds[kind]]);
    writeFileSync(at('key'), key);
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
    if (days[0] === 0) {
      const cert = openssl(['req', '-x509', '-key', at('key'), '-days', String(days[1]), ...subject]);
      return { key, cert };
    }
    openssl(['req', '-new', '-key', at('key'), '-out', at('csr'), ...subject]);
    return { key, cert: signed(at, days) };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** `openssl req` of Debian 12 has no dates. */
function signed(at: (end: string) => string, days: readonly [number, number]): string {
  const own = `database=${at('index')}\nnew_certs_dir=${at('.')}\nrand_serial=yes\npolicy=any\ndefault_md=sha256`;
  writeFileSync(at('cnf'), `[ca]\ndefault_ca=own\n[own]\n${own}\n[any]\ncommonName=supplied\n`);
  writeFileSync(at('index'), '');
  const [from, to] = days.map((each) => asn1(Date.now() + each * day)) as [string, string];
  const dates = ['-startdate', from, '-enddate', to];
  const ca = ['ca', '-batch', '-selfsign', '-notext', '-config', at('cnf'), '-keyfile', at('key')];
  openssl([...ca, ...dates, '-in', at('csr'), '-out', at('crt')]);
  return readFileSync(at('crt'), 'utf8');
}

/** Writes a pair into a directory as `tls.key` and `tls.crt`. */
export function writePair(dir: string, { key, cert }: PemPair): TlsFiles {
  const files = { keyPath: join(dir, 'tls.key'), certPath: join(dir, 'tls.crt') };
  writeFileSync(files.keyPath, key);
  writeFileSync(files.certPath, cert);
  return files;
}
