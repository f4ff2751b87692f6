import type { Report } from './report.ts';
import type { StorageStatus } from './storage/storage-status.ts';
import { type TroubleNews, duration } from './storage/troubles.ts';
import { type DiskStatus, shownBytes } from './storage/watch.ts';

/** In the terminal of `up`. */
export function reportTrouble(news: TroubleNews, report: Report): void {
  const text = `${news.text.charAt(0).toUpperCase()}${news.text.slice(1)}`;
  if (news.event === 'trouble') {
    const { part, kind, what, since, reason, act, failures } = news.trouble;
    report.event('trouble', { part, kind, what, reason, act, since, failures }, `WARNING: ${text}`);
  } else report.event('trouble-over', { part: news.part, after_ms: news.after_ms }, `${text}.`);
}

/** For `status`: the disk, and a line for what is wrong, since when and why, and one for what to do.
 *  @param now the time of the question */
export function troubleLines(
  { disk, troubles }: Pick<StorageStatus, 'disk' | 'troubles'>,
  now = new Date(),
): string[] {
  const wrong = troubles.flatMap(({ what, since, reason, act }) => [
    `WARNING   ${what}, since ${duration(now.getTime() - Date.parse(since))}: ${reason}`,
    `          What to do: ${act}`,
  ]);
  return [...(disk === null ? [] : [diskLine(disk)]), ...wrong];
}

function diskLine(disk: DiskStatus): string {
  const { base_bytes, wal_bytes, fill_bytes_per_second, full_in_seconds } = disk;
  const stored =
    base_bytes === null || wal_bytes === null
      ? ''
      : `; the storage takes ${shownBytes(base_bytes + wal_bytes)} (base backup ${shownBytes(base_bytes)}, WAL ${shownBytes(wal_bytes)})`;
  const filling =
    full_in_seconds === null || fill_bytes_per_second === null
      ? ''
      : `; at ${shownBytes(fill_bytes_per_second)} a second it is full in ${duration(full_in_seconds * 1000)}`;
  const limits = `warning below ${shownBytes(disk.warn_free_bytes)}, writes stop below ${shownBytes(disk.stop_free_bytes)}`;
  return `disk      ${shownBytes(disk.free_bytes)} of ${shownBytes(disk.total_bytes)} free${filling}${stored}; ${limits}`;
}
