import { buildTag } from '../../core/build.ts';
import { ComputeError } from '../../core/errors.ts';
import type { OutboundAnswer } from '../../outbound/exchange.ts';

/** As object stores name them. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export const archiveOf = (extension: string): string => `${extension}.tar.zst`;

/** Where the gateway has the archive of an extension.
 *  @param base ends in a slash. @param major of PostgreSQL
 *  @throws ComputeError `spec_invalid` for a name that would lead elsewhere */
export function archiveUrl(base: string, major: number, extension: string): string {
  if (!isName(extension))
    throw new ComputeError('spec_invalid', `${JSON.stringify(extension)} cannot be the name of an extension`);
  const parts = [buildTag, architectures[process.arch] ?? process.arch, `v${major}`, 'extensions'];
  return `${base}${[...parts, archiveOf(extension)].map(encodeURIComponent).join('/')}`;
}

/** A name that is one part of a path, everywhere. */
const isName = (name: string): boolean =>
  name.isWellFormed() && !/[/\\:\0]/.test(name) && !['', '.', '..'].includes(name);

export const refusal = ({ status, statusLine }: Pick<OutboundAnswer, 'status' | 'statusLine'>): string =>
  status === 503
    ? 'remote extensions server is temporarily unavailable'
    : `unexpected remote extensions server response status code: ${statusLine}`;
