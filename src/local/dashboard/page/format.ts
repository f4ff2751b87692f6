import { shownBytes, shownMs } from '../../../core/shown.ts';

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
  hourCycle: 'h23',
});

/** The time of the day; with the date where that is another one. */
export function shownTime(iso: string | number): string {
  const at = new Date(iso);
  return (at.toDateString() === new Date().toDateString() ? clock : day).format(at);
}

export const shownDuration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(2)} s` : shownMs(ms);
};

/** A rate or a count: few digits. */
export const shownNumber = (value: number | null): string =>
  value === null
    ? '–'
    : value >= 100 || Number.isInteger(value)
      ? String(Math.round(value))
      : value.toFixed(1);

export const shownRate = (bytes: number | null): string =>
  bytes === null ? '–' : `${shownBytes(Math.round(bytes))}/s`;

export const words = (state: string): string => state.replaceAll('_', ' ');

export { shownBytes, shownMs };
