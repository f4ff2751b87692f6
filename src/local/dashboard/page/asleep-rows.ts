import type { Asleep, Sample } from '../model.ts';
import { shownTime } from './format.ts';

const spanText = ({ from, to }: Asleep): string =>
  to === null ? `since ${shownTime(from)}` : `${shownTime(from)} to ${shownTime(to)}`;

/** The same for who does not see it. */
export const saidAsleep = (sleeps: readonly Asleep[]): string =>
  sleeps.length === 0 ? '' : `; hatched: asleep ${sleeps.map(spanText).join(', ')}`;

const isIn = (at: number, { from, to }: Asleep): boolean =>
  at >= Date.parse(from) && (to === null || at < Date.parse(to));

/** The rows of a table, the newest first: one for all samples of a sleep, and for one that nobody has watched.
 *  @param columns beside the time */
export function rowsWith(
  samples: readonly Sample[],
  sleeps: readonly Asleep[],
  columns: number,
  rowOf: (sample: Sample) => string[],
): string[][] {
  const oldest = samples[0]?.at ?? 0;
  const awake = samples
    .filter(({ at }) => !sleeps.some((one) => isIn(at, one)))
    .map((one) => ({ at: one.at, row: rowOf(one) }));
  const asleep = sleeps
    .filter(({ to }) => to === null || Date.parse(to) >= oldest)
    .map((one) => ({
      at: Date.parse(one.from),
      row: [spanText(one), ...Array.from({ length: columns }, () => 'asleep')],
    }));
  return [...awake, ...asleep].toSorted((a, b) => b.at - a.at).map(({ row }) => row);
}
