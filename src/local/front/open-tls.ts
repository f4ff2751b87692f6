import { ComputeError } from '../../core/errors.ts';
import type { Report } from '../report.ts';
import { type Started, tlsFilesOf } from '../started.ts';
import type { Encryption } from './encryption.ts';

/** Reads the pair, also where Postgres will speak TLS by itself: what is wrong with it is said before anything runs.
 *  @returns null: no TLS
 *  @throws ComputeError `usage` when only one of the two is given; `tls` that names the file and the fault */
export async function openTls(started: Started, report: Report): Promise<Encryption | null> {
  const files = tlsFilesOf(started);
  const { tlsCert = null, tlsKey = null } = started;
  if ((tlsCert === null) !== (tlsKey === null))
    throw new ComputeError(
      'usage',
      `${tlsKey === null ? '--tls-cert' : '--tls-key'} is given without the other one`,
      {
        hint: 'TLS takes both: --tls-cert, the certificate with its chain, and --tls-key, its key',
      },
    );
  if (files === null) return null;
  const { Encryption } = await import('./encryption.ts');
  const tell = (text: string): void =>
    report.event('trouble', { part: 'tls', kind: 'certificate', reason: text }, `WARNING: ${text}`);
  return Encryption.open(files, tell);
}
