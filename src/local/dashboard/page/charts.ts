import uPlot from 'uplot';
import type { Asleep, Figures, Sample } from '../model.ts';
import { ownValue } from '../own-value.ts';
import { rowsWith, saidAsleep } from './asleep-rows.ts';
import { behind, card, h, styled, table } from './dom.ts';
import { shownTime } from './format.ts';
import { hatch } from './hatch.ts';

export interface Series {
  readonly label: string;
  readonly colour: string;
  /** Of a limit: dashed, and not part of the area. */
  readonly isLimit?: boolean;
  readonly value: (figures: Figures) => number | null;
}

export interface ChartOptions {
  readonly title: string;
  readonly series: readonly Series[];
  readonly shown: (value: number | null) => string;
  /** The axis shows at least that much. */
  readonly least: number;
  /** What the numbers are. */
  readonly unit: keyof typeof steps;
}

const height = 150;
/** Longer than between two samples: nobody looked. */
const gapMs = 25_000;
const leastSeconds = 60;
const tableRows = 30;

/** Between the lines of the axis. */
const steps = {
  count: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
  rate: [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000],
  bytes: Array.from({ length: 36 }, (_, power) => 256 * 2 ** power),
};

const colourOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function chartCard(options: ChartOptions): {
  element: HTMLElement;
  update: (samples: readonly Sample[], compute: string, sleeps: readonly Asleep[]) => void;
} {
  const { title, series, shown } = options;
  const { element, body } = card(title, 4);
  const values = series.map(() => h('b', {}, '–'));
  const asleep = h('span', { hidden: true }, h('i', { class: 'hatch' }), 'asleep');
  const legend = h(
    'p',
    { class: 'legend' },
    ...series.map(({ label, colour }, at) =>
      h('span', {}, styled(h('i'), { background: `var(${colour})` }), `${label} `, values[at] ?? null),
    ),
    asleep,
  );
  const place = h('div', { class: 'chart', role: 'img' });
  const rows = table(`${title}, the newest first`, ['Time', ...series.map(({ label }) => label)]);
  body.append(legend, place, behind(title, rows));
  let plot: uPlot | null = null;
  let data: uPlot.AlignedData = [[]];
  let spans: readonly Asleep[] = [];

  const tell = (index: number | null): void => {
    const at = index ?? data[0].length - 1;
    values.forEach((value, each) => (value.textContent = shown(data[each + 1]?.[at] ?? null)));
  };
  const draw = (): void => {
    plot?.destroy();
    plot = new uPlot(
      optionsOf(options, place.clientWidth, () => data[0], {
        setCursor: [({ cursor }) => tell(cursor.idx ?? null)],
        drawClear: [(drawn) => hatch(drawn, spans, colourOf('--muted'))],
      }),
      data,
      place,
    );
  };
  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height })).observe(place);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);

  return {
    element,
    update(samples, compute, sleeps) {
      data = dataOf(samples, compute, series);
      const [from] = rangeOf(data[0]);
      spans = sleeps.filter(({ to }) => to === null || Date.parse(to) > from * 1000);
      asleep.hidden = spans.length === 0;
      if (plot === null) draw();
      else plot.setData(data);
      tell(plot?.cursor.idx ?? null);
      const last = series.map(({ label }, at) => `${label} ${shown(data[at + 1]?.at(-1) ?? null)}`);
      place.setAttribute('aria-label', `${title}: ${last.join(', ')}${saidAsleep(spans)}`);
      rows.fill(
        rowsWith(samples.slice(-tableRows), sleeps, series.length, ({ at, computes }) => [
          shownTime(at),
          ...series.map(({ value }) => shown(valueOf(ownValue(computes, compute), value))),
        ]),
      );
    },
  };
}

const valueOf = (figures: Figures | undefined, value: Series['value']): number | null =>
  figures === undefined ? null : value(figures);

function dataOf(samples: readonly Sample[], compute: string, series: readonly Series[]): uPlot.AlignedData {
  const times: number[] = [];
  const columns: (number | null)[][] = series.map(() => []);
  let before = Infinity;
  for (const { at, computes } of samples) {
    if (at - before > gapMs) {
      times.push((before + 1) / 1000);
      for (const column of columns) column.push(null);
    }
    times.push(at / 1000);
    series.forEach(({ value }, each) => columns[each]?.push(valueOf(ownValue(computes, compute), value)));
    before = at;
  }
  return [times, ...columns];
}

function optionsOf(
  { series, shown, least, unit }: ChartOptions,
  width: number,
  times: () => ArrayLike<number>,
  hooks: uPlot.Hooks.Arrays,
): uPlot.Options {
  const [text, grid] = [colourOf('--muted'), colourOf('--line')];
  const font = '12px system-ui, sans-serif';
  const axis = { stroke: text, font, ticks: { show: false }, grid: { stroke: grid, width: 1 } };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    padding: [8, 24, 0, 0],
    scales: {
      // By the data itself: what uPlot gives for one sample, or none, is of no use.
      x: { range: () => rangeOf(times()) },
      y: { range: (_, __, to) => [0, Math.max(to * 1.15, least)] },
    },
    axes: [
      {
        ...axis,
        size: 26,
        grid: { show: false },
        space: 70,
        values: (_, splits) => splits.map((at) => shortTime(at)),
      },
      {
        ...axis,
        size: 62,
        space: 36,
        incrs: steps[unit],
        values: (_, splits) => splits.map((value) => shown(value)),
      },
    ],
    series: [
      {},
      ...series.map(({ colour, isLimit }) => ({
        stroke: colourOf(colour),
        width: isLimit === true ? 1 : 2,
        points: { show: false },
        ...(isLimit === true ? { dash: [4, 4] } : { fill: `${colourOf(colour)}22` }),
      })),
    ],
    hooks,
  };
}

/** There may be no sample yet. */
function rangeOf(times: ArrayLike<number>): [number, number] {
  const end = times[times.length - 1] ?? Date.now() / 1000;
  return [Math.min(times[0] ?? end, end - leastSeconds), end];
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const shortTime = (seconds: number): string => clock.format(new Date(seconds * 1000));
