import { TarError } from './tar-error.ts';

/** The pax records of sparse files: of GNU tar and libarchive (0.0, 0.1 and 1.0), of star, of Solaris.
 *  @see https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html */
const sparseRecord = /^(?:GNU\.sparse\.|SCHILY\.realsize$|SUN\.holesdata$)/;

/** What extended headers say about the next entry. */
export interface Extended {
  path?: string;
  linkpath?: string;
  size?: number;
  sparse?: true;
  /** The name of a sparse file. */
  realName?: string;
}

/** Reads the records of a pax header into `next`. @throws TarError */
export function readPax(body: Buffer, next: Extended): void {
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? '' : body.toString('latin1', at, Math.min(space, at + 10));
    const end = at + Number(digits);
    if (!/^[1-9]\d{0,6}$/.test(digits) || end > body.length || end <= space || body[end - 1] !== 0x0a) {
      throw new TarError('a pax header is malformed');
    }
    const record = body.toString('utf8', space + 1, end - 1);
    const equals = record.indexOf('=');
    if (equals < 1) throw new TarError('a pax header is malformed');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (sparseRecord.test(key)) next.sparse = true;
    if (key === 'GNU.sparse.name') next.realName = value;
    else if (key === 'path') next.path = value;
    else if (key === 'linkpath') next.linkpath = value;
    else if (key === 'size') {
      if (!/^\d{1,15}$/.test(value)) throw new TarError('the size in a pax header is not a number');
      next.size = Number(value);
    }
    at = end;
  }
}
