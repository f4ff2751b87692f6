import type { Start } from '../model.ts';
import { card, h, part, styled, table } from './dom.ts';
import { shownDuration, shownTime } from './format.ts';

const colours = 6;

/** The colour of a phase is the same in every start. */
const colourOf = (index: number): string => `var(--phase-${index % colours})`;

/** The last starts: one line each, and the phases of the chosen one as a waterfall. */
export function startsCard(): { element: HTMLElement; update: (starts: readonly Start[]) => void } {
  const { element, body } = card('Starts', 6);
  const list = h('div', { class: 'starts' });
  const phases = h('div');
  body.append(list, phases);
  let chosen: string | null = null;
  let known: readonly Start[] = [];
  const drawList = part(list, ({ starts, at }: { starts: readonly Start[]; at: string | null }) => {
    const longest = Math.max(...starts.map(({ totalMs }) => totalMs), 1);
    return starts.map((start) => row(start, longest, start.at === at, () => choose(start.at)));
  });
  const drawPhases = part(phases, (start: Start | null) =>
    start === null ? [h('p', { class: 'none' }, 'No start is in the log.')] : [waterfall(start)],
  );
  const draw = (): void => {
    const start = known.find(({ at }) => at === chosen) ?? known[0] ?? null;
    drawList({ starts: known, at: start?.at ?? null });
    drawPhases(start);
  };
  const choose = (at: string): void => {
    chosen = at;
    draw();
    list.querySelector<HTMLElement>('[aria-pressed="true"]')?.focus();
  };
  return {
    element,
    update(starts) {
      known = starts.slice(0, 6);
      draw();
    },
  };
}

function row(
  { at, totalMs, steps }: Start,
  longest: number,
  isChosen: boolean,
  click: () => void,
): HTMLElement {
  const bars = steps.map(({ ms }, index) =>
    styled(h('span'), { width: `${(ms / longest) * 100}%`, background: colourOf(index) }),
  );
  return h(
    'button',
    { type: 'button', class: 'start', 'aria-pressed': String(isChosen), click },
    h('span', { class: 'when' }, shownTime(at)),
    h('span', { class: 'stack', 'aria-hidden': 'true' }, ...bars),
    h('span', { class: 'ms' }, shownDuration(totalMs)),
  );
}

function waterfall({ at, totalMs, steps }: Start): HTMLElement {
  const rows = table(`Phases of the start at ${shownTime(at)}`, ['Phase', 'When', 'Time']);
  let before = 0;
  rows.fill(
    steps.map(({ name, ms }, index) => {
      const left = Math.min(before, totalMs);
      before += ms;
      const bar = styled(h('span', { class: 'bar' }), {
        'margin-left': `${(left / Math.max(totalMs, 1)) * 100}%`,
        width: `max(2px, ${(Math.min(ms, totalMs - left) / Math.max(totalMs, 1)) * 100}%)`,
        background: colourOf(index),
      });
      return [
        name.replaceAll('-', ' '),
        h('div', { class: 'lane', 'aria-hidden': 'true' }, bar),
        shownDuration(ms),
      ];
    }),
  );
  rows.element.classList.add('waterfall');
  return rows.element;
}
