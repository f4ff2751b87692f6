import type { Lsn } from '../../core/lsn.ts';
import { pageBytes } from './wal-pages.ts';

/** The LSNs whose data the storage can show: from the end of its base backup to the end of its WAL. */
export interface LsnRange {
  readonly from: Lsn;
  readonly to: Lsn;
}

/** `SizeOfXLogLongPHD`, of a segment's first page, and `SizeOfXLogShortPHD`, of all others.
 *  @see src/include/access/xlog_internal.h of PostgreSQL */
const headerBytes = { first: 40n, other: 24n };

/** An LSN in a page header, as pg_current_wal_insert_lsn() returns for a page that is still empty, means the beginning of that
 *  page: no record lies in between, and recovery counts only the ends of records. */
export function withoutPageHeader(lsn: Lsn, walSegmentBytes: number): Lsn {
  const inPage = lsn % BigInt(pageBytes);
  const isFirst = lsn % BigInt(walSegmentBytes) < BigInt(pageBytes);
  return inPage <= (isFirst ? headerBytes.first : headerBytes.other) ? ((lsn - inPage) as Lsn) : lsn;
}
