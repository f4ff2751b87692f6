import { resolve } from 'node:path';
import type { TlsFiles } from '../postgres/tls.ts';

/** The options of a start that its restart has, too. Ports, addresses and history have members of their own in the state. */
export interface Started {
  readonly pgBinDir: string | null;
  /** Bytes. */
  readonly compactAt: number;
  readonly warnFree: number | null;
  readonly stopFree: number | null;
  /** Seconds; 0: never. */
  readonly suspendAfter: number;
  readonly suspendHardAfter: number;
  readonly suspendIgnore: string;
  /** Absolute paths of PEM files; null or left out, as by earlier versions: no TLS. */
  readonly tlsCert?: string | null;
  readonly tlsKey?: string | null;
  /** Bytes. */
  readonly prepareAtMost: number | null;
}

/** Of the options of `up`. */
export const startedWith = ({
  pgBinDir,
  compactAtBytes,
  warnFree,
  stopFree,
  suspendAfter,
  suspendHardAfter,
  suspendIgnore,
  tlsCert = null,
  tlsKey = null,
  prepareAtMost,
}: Omit<Started, 'compactAt'> & { readonly compactAtBytes: number }): Started => ({
  ...{ pgBinDir: pgBinDir && resolve(pgBinDir), compactAt: compactAtBytes, warnFree, stopFree },
  ...{ suspendAfter, suspendHardAfter, suspendIgnore, prepareAtMost },
  ...(tlsCert !== null && { tlsCert: resolve(tlsCert) }),
  ...(tlsKey !== null && { tlsKey: resolve(tlsKey) }),
});

/** @returns null: no TLS */
export const tlsFilesOf = ({ tlsCert, tlsKey }: Pick<Started, 'tlsCert' | 'tlsKey'> = {}): TlsFiles | null =>
  typeof tlsCert === 'string' && typeof tlsKey === 'string' ? { certPath: tlsCert, keyPath: tlsKey } : null;
