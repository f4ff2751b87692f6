import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type Lsn, formatLsn, noLsn, parseLsn } from '../core/lsn.ts';
import { poll } from '../core/poll.ts';
import type { Report } from './report.ts';
import { withCompute } from './storage/compute-link.ts';
import { type LsnRange, withoutPageHeader } from './storage/range.ts';
import type { StorageStatus } from './storage/storage-status.ts';
import type { Socket } from './storage/tools.ts';

export interface Wal {
  /** Asks the storage; null when it does not answer. */
  readonly storage: () => Promise<StorageStatus | null>;
  /** The compute that writes. */
  readonly writer: Socket;
}

const arrivalMs = 30_000;
const primaryMs = 2000;

/** Reads the LSN of `--at-lsn` and makes sure that the storage has it, before anything is created. Waits for one that the primary
 *  has written and the storage has not received yet.
 *  @returns the LSN, without the part of it that lies in a page header
 *  @throws ComputeError `usage` for what is not an LSN, `not_found` with the range that exists, `conflict` without a storage */
export async function storedLsn(text: string, wal: Wal, report: Report, signal: AbortSignal): Promise<Lsn> {
  const status = await wal.storage();
  const given = parseLsn(text);
  if (given === null || given === noLsn) throw malformed(text, status);
  if (status === null)
    throw new ComputeError('conflict', 'the storage is not running, or does not answer', {
      hint: 'start it with: compute-local up',
    });
  const range = rangeOf(status);
  if (given < range.from) throw outside(`the LSN ${formatLsn(given)} is older than the base backup`, range);
  const exact = withoutPageHeader(given, status.wal_segment_bytes);
  const lsn = exact < range.from ? given : exact;
  if (lsn <= range.to) return lsn;
  const written = await writtenUpTo(wal.writer, signal);
  if (written === null || withoutPageHeader(written, status.wal_segment_bytes) < lsn)
    throw outside(`the LSN ${formatLsn(given)} does not exist yet`, range);
  report.progress(`Waiting until the storage has received ${formatLsn(lsn)} ...`, '');
  await arrived(lsn, wal, signal);
  return lsn;
}

const rangeOf = ({ restorable }: StorageStatus): LsnRange => ({
  from: parseLsn(restorable.from_lsn) ?? noLsn,
  to: parseLsn(restorable.to_lsn) ?? noLsn,
});

const shown = ({ from, to }: LsnRange): string => `${formatLsn(from)} to ${formatLsn(to)}`;

function malformed(text: string, status: StorageStatus | null): ComputeError {
  const hint = 'an LSN is two hexadecimal numbers, such as 0/16B3748';
  return new ComputeError('usage', `--at-lsn ${JSON.stringify(text.slice(0, 100))} is not an LSN`, {
    hint: status === null ? hint : `${hint}; the storage can show ${shown(rangeOf(status))}`,
  });
}

const outside = (why: string, range: LsnRange): ComputeError =>
  new ComputeError('not_found', `${why}: the storage can show ${shown(range)}`, {
    hint: 'choose an LSN in this range; compute-local status shows it, and on the primary pg_current_wal_flush_lsn() is the newest',
  });

/** The end of the primary's WAL, also of what it has not flushed; null when there is no primary that answers. */
async function writtenUpTo(writer: Socket, signal: AbortSignal): Promise<Lsn | null> {
  const look = `select case when not pg_catalog.pg_is_in_recovery()
                            then pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text end as lsn`;
  try {
    return await withDeadline('the answer of the primary', primaryMs, signal, (limited) =>
      withCompute(writer, limited, async (pg) => {
        const { rows } = await pg.query<{ lsn: string | null }>(look);
        return parseLsn(rows[0]?.lsn ?? '');
      }),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

async function arrived(lsn: Lsn, { storage }: Wal, signal: AbortSignal): Promise<void> {
  let last: LsnRange | null = null;
  const look = async (): Promise<true | null> => {
    const status = await storage();
    last = status === null ? last : rangeOf(status);
    return status !== null && rangeOf(status).to >= lsn ? true : null;
  };
  if ((await poll(look, { everyMs: 50, limitMs: arrivalMs }, signal)) !== null) return;
  const upTo = last === null ? '' : `: it can show ${shown(last)}`;
  throw new ComputeError(
    'deadline',
    `the primary has written ${formatLsn(lsn)}, but the storage did not receive it within ${arrivalMs / 1000} s${upTo}`,
    { hint: 'compute-local status shows whether the storage receives WAL' },
  );
}
