import type uPlot from 'uplot';
import type { Asleep } from '../model.ts';

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
