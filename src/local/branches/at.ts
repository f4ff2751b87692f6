import { parseDuration } from '../../core/duration.ts';
import { ComputeError } from '../../core/errors.ts';
import { noLsn, parseLsn } from '../../core/lsn.ts';
import type { At } from '../storage/fork.ts';

/** `2026-01-31`, then the time of day, then the zone; without one it is the zone of this machine. */
const iso = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?$/i;

/** A point in the history, as people write it.
 *  @param nowMs milliseconds since 1970
 *  @throws ComputeError `usage` with the forms that there are */
export function parseAt(text: string, nowMs: number): At {
  const given = text.trim();
  if (given.toLowerCase() === 'now') return 'end';
  const lsn = parseLsn(given);
  if (lsn !== null && lsn !== noLsn) return { lsn };
  const [, ago = ''] = /^(.*\S)\s+ago$/i.exec(given) ?? [];
  const durationMs = parseDuration(ago);
  const timeMs = durationMs === null ? parseTime(given) : nowMs - durationMs;
  if (timeMs !== null) return { timeMs };
  throw new ComputeError('usage', `${JSON.stringify(text.slice(0, 100))} is not a point in the history`, {
    hint: 'give an LSN such as 0/16B3748, a time such as 2026-01-31T14:00:00Z or "2026-01-31 14:00" (local), or such as "2 hours ago"',
  });
}

/** With microseconds, as PostgreSQL has them. */
function parseTime(text: string): number | null {
  if (!iso.test(text)) return null;
  const [date = '', time = '00:00'] = text.split(/[T ](.*)/i);
  const zoned = time
    .replace(/\s/g, '')
    .replace(/([+-]\d\d)(\d\d)?$/, (_, hours, minutes = '00') => `${hours}:${minutes}`);
  const [, micros = ''] = /\.\d{3}(\d{1,3})/.exec(time) ?? [];
  const ms = Date.parse(`${date}T${zoned.toUpperCase()}`);
  return Number.isNaN(ms) ? null : ms + Number(micros.padEnd(3, '0')) / 1000;
}
