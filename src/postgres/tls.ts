import { readSmallByLink } from '../process/regular-file.ts';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { retry } from '../core/retry.ts';
import { writeBeside } from '../process/files.ts';

export interface TlsFiles {
  /** PEM files; the first certificate is the server's. */
  readonly keyPath: string;
  readonly certPath: string;
}

const retryMs = 250;

/** Copies key and certificate to `server.key` and `server.crt` (mode 0600), once they match. Until then (a file is missing,
 *  or only one of them is new) it reads them again, for `limitMs` at most.
 *  @throws ComputeError `tls` that names the file and the fault */
export async function copyTlsPair(
  files: TlsFiles,
  pgdata: string,
  options: { readonly limitMs: number; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { key, cert } = await matchingPair(files, options, signal);
  const write = { mode: 0o600 };
  const newKey = writeBeside(join(pgdata, 'server.key'), key, write);
  try {
    const newCert = writeBeside(join(pgdata, 'server.crt'), cert, write);
    newKey.commit();
    newCert.commit();
  } catch (error) {
    newKey.discard();
    throw error;
  }
}

const matchingPair = (
  files: TlsFiles,
  { limitMs, log }: { readonly limitMs: number; readonly log: Log },
  signal: AbortSignal,
): Promise<{ key: string; cert: string }> =>
  retry(
    () => readPair(files),
    {
      what: 'reading the TLS key and certificate',
      pauseMs: () => retryMs,
      totalMs: limitMs,
      onRetry({ attempt, error }) {
        if (attempt === 1)
          log.warn(`waiting at most ${limitMs} ms for a usable TLS key and certificate: ${explained(error)}`);
      },
    },
    signal,
  );

/** Reads both files and checks that they belong together, for any type of key.
 *  @throws ComputeError `tls` */
export async function readPair({ keyPath, certPath }: TlsFiles): Promise<{ key: string; cert: string }> {
  const key = readPem(keyPath, 'key');
  const cert = readPem(certPath, 'certificate');
  const privateKey = parse(keyPath, 'private key', () => createPrivateKey(key));
  const certificate = parse(certPath, 'certificate', () => new X509Certificate(cert));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ComputeError('tls', `the TLS key ${keyPath} does not belong to the certificate ${certPath}`, {
      hint: "the first certificate in the file must be the server's",
    });
  }
  return { key, cert };
}

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
    throw new ComputeError('tls', `${path} is not a usable ${what} in PEM form`, {
      cause,
      hint: 'a key must not be protected by a passphrase',
    });
  }
}
