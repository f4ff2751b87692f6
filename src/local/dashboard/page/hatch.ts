import type uPlot from 'uplot';
import type { Asleep, Sample } from '../model.ts';
import { shownTime } from './format.ts';

/** Between two lines, in CSS pixels. */
const space = 7;

/** Hatches the times in which the compute slept, behind everything else. */
export function hatch(plot: uPlot, sleeps: readonly Asleep[], colour: string): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const scale = devicePixelRatio;
  const xOf = (iso: string | null): number =>
    iso === null ? left + width : plot.valToPos(Date.parse(iso) / 1000, 'x', true);
  for (const { from, to } of sleeps) {
    const [start, end] = [Math.max(left, xOf(from)), Math.min(left + width, xOf(to))];
    if (end <= start) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(start, top, Math.max(end - start, scale), height);
    ctx.clip();
    ctx.beginPath();
    for (let x = start - height - ((start - left) % (space * scale)); x < end; x += space * scale) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = scale;
    ctx.stroke();
    ctx.restore();
  }
}

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
