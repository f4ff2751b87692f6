import { ComputeError } from '../core/errors.ts';

export interface PemBlock {
  /** As in its first line: `CERTIFICATE`, `PRIVATE KEY`. */
  readonly label: string;
  /** With its first and its last line. */
  readonly text: string;
}

const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/;

/** The blocks of a PEM file, in their order. Text between them is ignored, as OpenSSL does.
 *  @throws ComputeError `tls` when a block has no end: somebody is still writing it */
export function pemBlocks(path: string, text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { label: string; lines: string[] } | null = null;
  for (const line of text.split(/\r?\n/)) {
    const [, edge, label = ''] = boundary.exec(line) ?? [];
    if (edge === 'BEGIN') {
      if (open !== null) throw unfinished(path, open.label);
      open = { label, lines: [] };
    }
    open?.lines.push(line);
    if (edge !== 'END' || open === null) continue;
    if (open.label !== label) throw unfinished(path, open.label);
    blocks.push({ label, text: `${open.lines.join('\n')}\n` });
    open = null;
  }
  if (open !== null) throw unfinished(path, open.label);
  return blocks;
}

const unfinished = (path: string, label: string): ComputeError =>
  new ComputeError('tls', `${path} is not complete: a ${label} begins and does not end`, {
    hint: 'when nobody is writing the file any more, write it again as a whole',
  });

/** OpenSSL asks for the passphrase, which nobody can type. */
export const isEncrypted = ({ label, text }: PemBlock): boolean =>
  label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(text);

/** PKCS#8, PKCS#1 and SEC1: what Postgres can read. */
const keyLabels = ['PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'];
export const isKey = ({ label }: PemBlock): boolean => keyLabels.includes(label);

const certificateLabels = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE'];
export const isCertificate = ({ label }: PemBlock): boolean => certificateLabels.includes(label);
