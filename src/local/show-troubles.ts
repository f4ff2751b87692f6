import { shownBytes, shownMs } from '../core/shown.ts';
import type { Report } from './report.ts';
import type { TroubleNews } from './storage/troubles.ts';
import type { DiskStatus } from './storage/watch.ts';

/** In the terminal of `up`. */
export function reportTrouble(news: TroubleNews, report: Report): void {
  const text = `${news.text.charAt(0).toUpperCase()}${news.text.slice(1)}`;
  if (news.event === 'trouble') {
    const { part, kind, what, since, reason, act, failures } = news.trouble;
    report.event('trouble', { part, kind, what, reason, act, since, failures }, `WARNING: ${text}`);
  } else report.event('trouble-over', { part: news.part, after_ms: news.after_ms }, `${text}.`);
}

/** For `status`: what is free, when the disk is full, and the limits before that. */
export function fillText(disk: DiskStatus): string {
  const { fill_bytes_per_second, full_in_seconds } = disk;
  const filling =
    full_in_seconds === null || fill_bytes_per_second === null
      ? ''
      : `at ${shownBytes(fill_bytes_per_second)} a second it is full in ${shownMs(full_in_seconds * 1000)}; `;
  return `${shownBytes(disk.free_bytes)} of ${shownBytes(disk.total_bytes)} free; ${filling}warning below ${shownBytes(disk.warn_free_bytes)}, writes stop below ${shownBytes(disk.stop_free_bytes)}`;
}
