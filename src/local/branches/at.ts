import { parseDuration } from '../../core/duration.ts';
import { ComputeError } from '../../core/errors.ts';
import { noLsn, parseLsn } from '../../core/lsn.ts';
import type { At } from '../storage/fork.ts';

/** `2026-01-31`, then the time of day, then the zone; without one it is the zone of this machine. */
const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:\s?(Z|[+-]\d\d(?::?\d\d)?))?)?$/i;

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
  // Before 1970 there is nothing.
  const timeMs = durationMs === null ? parseTime(given) : Math.max(0, nowMs - durationMs);
  if (timeMs !== null) return { timeMs };
  throw new ComputeError('usage', `${JSON.stringify(text.slice(0, 100))} is not a point in the history`, {
    hint: 'give an LSN such as 0/16B3748, a time such as 2026-01-31T14:00:00Z or "2026-01-31 14:00" (local), or such as "2 hours ago"',
  });
}

/** With microseconds, as PostgreSQL has them. @throws ComputeError `usage` for a local time that there is twice, or never */
function parseTime(text: string): number | null {
  const [, date, time = '00:00', zone] = iso.exec(text) ?? [];
  if (date === undefined) return null;
  const [, micros = ''] = /\.\d{3}(\d{1,3})/.exec(time) ?? [];
  const wallMs = Date.parse(`${date}T${time}Z`);
  // Date.parse takes February 30 for March 2.
  if (!(wallMs >= 0) || new Date(Date.parse(date)).toISOString().slice(0, 10) !== date) return null;
  const ms = zone === undefined ? localMs(wallMs, text) : wallMs - offsetMs(zone);
  return Number.isNaN(ms) ? null : ms + Number(micros.padEnd(3, '0')) / 1000;
}

const minuteMs = 60_000;

/** `Z`, `+02`, `+0530`, `-03:30`; NaN for what is not a zone. */
function offsetMs(zone: string): number {
  const [, sign = '+', hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  const offset = Number(hours) * 60 + Number(minutes);
  return Number(hours) > 15 || Number(minutes) > 59 ? NaN : (sign === '-' ? -1 : 1) * offset * minuteMs;
}

const halfDayMs = 720 * minuteMs;

/** The moment at which the clocks of this machine show a time.
 *  @param wallMs the same time in UTC */
function localMs(wallMs: number, text: string): number {
  const offsets = [wallMs - halfDayMs, wallMs + halfDayMs].map(
    (ms) => new Date(ms).getTimezoneOffset() * minuteMs,
  );
  const found = [...new Set(offsets)]
    .map((offset) => wallMs + offset)
    .filter((ms) => ms - new Date(ms).getTimezoneOffset() * minuteMs === wallMs);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const times = found.map((ms) => new Date(ms).toISOString()).toSorted();
  const why = only === undefined ? 'there is no such local time' : 'there is that local time twice';
  throw new ComputeError('usage', `${JSON.stringify(text)}: ${why}, since the clocks are changed then`, {
    hint: `give the time with its zone${times.map((one) => `, ${one}`).join('')}`,
  });
}
