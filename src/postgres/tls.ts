import { type KeyObject, X509Certificate, createPrivateKey } from 'node:crypto';
import { ComputeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { readSmallByLink } from '../process/regular-file.ts';
import { type PemBlock, isCertificate, isEncrypted, isKey, pemBlocks } from './tls-pem.ts';

export interface TlsFiles {
  /** PEM files; the first certificate is the server's. */
  readonly keyPath: string;
  readonly certPath: string;
}

/** A key and the certificate that belongs to it. */
export interface TlsPair {
  /** The whole files: the certificate with the rest of its chain. */
  readonly key: Secret;
  readonly cert: string;
  /** A name of the server's certificate, as `CN=name` or `DNS:name`, for people. */
  readonly subject: string;
  /** SHA-256 of the server's certificate, as Node shows it. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly validFromMs: number;
  readonly validToMs: number;
  /** Its issuer signed it with Ed25519 or Ed448. */
  readonly edSigned: boolean;
}

export const isSamePair = (a: TlsPair | null, b: TlsPair | null): boolean =>
  a?.cert === b?.cert && a?.key.reveal() === b?.key.reveal();

/** Reads both files and checks that they belong together, for every type of key.
 *  @throws ComputeError `tls` that names the file and the fault */
export async function readPair({ keyPath, certPath }: TlsFiles): Promise<TlsPair> {
  const pair = pairOf(
    { path: keyPath, text: readPem(keyPath, 'key') },
    { path: certPath, text: readPem(certPath, 'certificate') },
  );
  await assertStrong(certPath, pair);
  return pair;
}

/** What Debian's OpenSSL demands of a server's certificate. Postgres does not start with a weaker one. */
const ciphers = 'DEFAULT:@SECLEVEL=2';

async function assertStrong(path: string, { key, cert }: TlsPair): Promise<void> {
  const { createSecureContext } = await import('node:tls');
  try {
    // Without `ca`, Node reads the certificates of all issuers that it knows.
    createSecureContext({ key: key.reveal(), cert, ciphers, ca: [] });
  } catch (cause) {
    throw new ComputeError('tls', `OpenSSL refuses the TLS certificate ${path}`, {
      cause,
      hint: 'use RSA with 2048 bits or more, an elliptic curve or Ed25519, and SHA-256 or better',
    });
  }
}

/** What TLS has curves for, and OpenSSL and Node offer when they connect. */
const curves: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];

function assertCurve(path: string, key: KeyObject): void {
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== 'ec' || curves.includes(namedCurve)) return;
  throw new ComputeError('tls', `no client can use the TLS key ${path}: its curve is ${namedCurve}`, {
    hint: 'use P-256, P-384 or P-521',
  });
}

interface PemFile {
  readonly path: string;
  readonly text: string;
}

function pairOf(key: PemFile, cert: PemFile): TlsPair {
  const { text: own } = keyIn(key);
  const privateKey = parse(key.path, 'private key', () => createPrivateKey(own));
  assertCurve(key.path, privateKey);
  const chain = certificatesIn(cert).map(({ text }, at) =>
    parse(
      cert.path,
      at === 0 ? 'certificate' : `chain (certificate ${at + 1})`,
      () => new X509Certificate(text),
    ),
  );
  const [server] = chain;
  if (server?.checkPrivateKey(privateKey) !== true) {
    const other = chain.findIndex((one) => one.checkPrivateKey(privateKey)) + 1;
    throw new ComputeError('tls', `the TLS key ${key.path} does not belong to the certificate ${cert.path}`, {
      hint:
        other > 0
          ? `it belongs to certificate ${other} of the file: the server's own must be the first`
          : "the first certificate in the file must be the server's, and both files from the same renewal",
    });
  }
  return {
    key: new Secret(key.text),
    cert: cert.text,
    subject: nameOf(server),
    fingerprint: server.fingerprint256,
    validFromMs: timeOf(cert.path, server.validFrom),
    validToMs: timeOf(cert.path, server.validTo),
    edSigned: isEdSigned(server.raw),
  };
}

/** Not every certificate has a subject. */
function nameOf({ subject, subjectAltName, serialNumber }: X509Certificate): string {
  const parts = (subject ?? '').split('\n').filter((part) => part !== '');
  const named = parts.find((part) => part.startsWith('CN=')) ?? parts.at(-1);
  return named ?? subjectAltName?.split(', ')[0] ?? `serial number ${serialNumber}`;
}

function timeOf(path: string, text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new ComputeError('tls', `the certificate ${path} has a date that is none: ${text}`);
  return ms;
}

/** A certificate in DER ends with the signature's algorithm and the signature. */
const edEnds = [
  { head: '300506032b6570034100', signatureBytes: 64 },
  { head: '300506032b6571037300', signatureBytes: 114 },
];

const isEdSigned = (der: Buffer): boolean =>
  edEnds.some(({ head, signatureBytes }) => {
    const at = der.length - signatureBytes - head.length / 2;
    return der.toString('hex', Math.max(at, 0), der.length - signatureBytes) === head;
  });

function keyIn({ path, text }: PemFile): PemBlock {
  const key = pemBlocks(path, text).find(isKey);
  if (key === undefined) throw nothingIn(path, text, 'private key', 'PRIVATE KEY');
  if (!isEncrypted(key)) return key;
  throw new ComputeError(
    'tls',
    `the TLS key ${path} is protected by a passphrase, which nobody can type here`,
    {
      hint: `store it without: openssl pkey -in ${path} -out NEW_FILE`,
    },
  );
}

function certificatesIn({ path, text }: PemFile): PemBlock[] {
  const found = pemBlocks(path, text).filter(isCertificate);
  if (found.length === 0) throw nothingIn(path, text, 'certificate', 'CERTIFICATE');
  return found;
}

const nothingIn = (path: string, text: string, what: string, label: string): ComputeError =>
  text.trim() === ''
    ? new ComputeError('tls', `${path} is empty`)
    : new ComputeError('tls', `${path} is not a usable ${what} in PEM form`, {
        hint: `it must have a block that begins with -----BEGIN ${label}-----`,
      });

function readPem(path: string, what: string): string {
  try {
    return readSmallByLink(path);
  } catch (cause) {
    throw new ComputeError(
      'tls',
      `cannot read the TLS ${what} ${path} (${(cause as { code: string }).code})`,
      { cause },
    );
  }
}

function parse<T>(path: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ComputeError('tls', `${path} is not a usable ${what} in PEM form`, { cause });
  }
}
