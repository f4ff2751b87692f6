import { shownBytes, shownMs } from '../core/shown.ts';
import type { Report } from './report.ts';
import type { Copied } from './storage/copying.ts';

/** `45 %, 4.5 GB of 10.0 GB, 390.1 MB/s, 14 s left` */
export function copiedText({ bytes, total_bytes: total, ms }: Copied): string {
  const rate = (bytes / Math.max(ms, 1)) * 1000;
  const left = rate > 0 && bytes < total ? [`${shownMs(((total - bytes) / rate) * 1000)} left`] : [];
  const percent = Math.floor((100 * bytes) / Math.max(total, 1));
  return [
    `${percent} %`,
    `${shownBytes(bytes)} of ${shownBytes(total)}`,
    `${shownBytes(Math.round(rate))}/s`,
    ...left,
  ].join(', ');
}

/** Shows how far a start is that must copy the data first. */
export function showCopied(copied: Copied, report: Report): void {
  const { bytes, total_bytes, ms } = copied;
  report.event('copying', { bytes, total_bytes, ms }, null);
  const part = bytes / Math.max(total_bytes, 1);
  report.progress('Copying the data ...', copiedText(copied), part);
}
