const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const units: Readonly<Record<string, number>> = {
  ms: 1,
  ...{ s: second, sec: second, secs: second, second, seconds: second },
  ...{ m: minute, min: minute, mins: minute, minute, minutes: minute },
  ...{ h: hour, hr: hour, hrs: hour, hour, hours: hour },
  ...{ d: day, day, days: day, w: 7 * day, week: 7 * day, weeks: 7 * day },
};

/** `30m`, `2 hours`, `7d`: milliseconds. Null for anything else. */
export function parseDuration(text: string): number | null {
  const [, number = '', word = ''] = /^(\d{1,9})\s*([a-z]+)$/i.exec(text.trim()) ?? [];
  const unit = units[word.toLowerCase()];
  return unit === undefined ? null : Number(number) * unit;
}
