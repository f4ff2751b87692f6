import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';

/** A digest that a server gives for the whole file. */
export interface GivenDigest {
  readonly header: string;
  /** As `node:crypto` names it. */
  readonly algorithm: string;
  readonly base64: string;
}

const algorithms: Readonly<Record<string, string>> = {
  'sha-256': 'sha256',
  'sha-512': 'sha512',
  sha256: 'sha256',
  sha512: 'sha512',
  md5: 'md5',
};

/** Lists such as `sha-256=:BASE64:` (RFC 9530), `SHA-256=BASE64` (RFC 3230) and `md5=BASE64` (Google), and headers with one
 *  digest. `Content-MD5` and `Content-Digest` are of one answer, which may be a part. */
const lists = ['repr-digest', 'digest', 'x-goog-hash'];
const single: Readonly<Record<string, string>> = { 'x-amz-checksum-sha256': 'sha256' };

/** The digests that can be checked here. Others, such as CRCs, do not count. */
export function givenDigests(headers: IncomingHttpHeaders): GivenDigest[] {
  const listed = lists.flatMap((header) =>
    valuesOf(headers[header]).flatMap((one) => {
      const [, name = '', base64 = ''] = /^\s*([\w-]+)=:?([A-Za-z0-9+/]+={0,2}):?\s*$/.exec(one) ?? [];
      const algorithm = algorithms[name.toLowerCase()];
      return algorithm === undefined ? [] : [{ header, algorithm, base64 }];
    }),
  );
  const others = Object.entries(single).flatMap(([header, algorithm]) =>
    // With a dash it is that of the parts of an upload, not of the file.
    valuesOf(headers[header])
      .filter((base64) => !base64.includes('-'))
      .map((base64) => ({ header, algorithm, base64 })),
  );
  return [...listed, ...others];
}

const valuesOf = (header: string | string[] | undefined): string[] =>
  [header ?? []].flat().flatMap((value) => value.split(','));

/** Reads the file once. @returns the first digest that does not fit; null: all do */
export async function wrongDigest(
  path: string,
  digests: readonly GivenDigest[],
  signal: AbortSignal,
): Promise<GivenDigest | null> {
  if (digests.length === 0) return null;
  const hashes = digests.map(({ algorithm }) => createHash(algorithm));
  for await (const piece of createReadStream(path, { signal }) as AsyncIterable<Buffer>)
    for (const hash of hashes) hash.update(piece);
  const wrong = hashes.findIndex((hash, at) => hash.digest('base64') !== digests[at]?.base64);
  return digests[wrong] ?? null;
}
