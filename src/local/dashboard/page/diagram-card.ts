import { type Diagram, type DiagramNode, diagramOf } from '../diagram.ts';
import type { History } from '../model.ts';
import { type Child, behind, card, h, part, svg, table } from './dom.ts';
import { shownTime, words } from './format.ts';

const size = { width: 148, height: 46, column: 186, row: 104, left: 8, top: 10 } as const;
const total = { width: 722, height: 296 } as const;

const mostChanges = 6;

interface Shown {
  readonly status: string | null;
  readonly history: History | null;
}

export function diagramCard(): { element: HTMLElement; update: (shown: Shown) => void } {
  const { element, body, extra } = card('State', 6);
  const picture = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'State diagram' });
  const diagram = diagramOf();
  const states = table('States of a compute', ['State', 'May lead to']);
  states.fill(
    diagram.nodes.map(({ status, label }) => {
      const exits = diagram.nodes.filter((node) => node.isExit && node.status !== status && !isEnd(status));
      const drawn = diagram.edges.filter(({ from }) => from === status).map(({ to }) => words(to));
      const all = [...new Set([...drawn, ...exits.map((node) => node.label)])];
      return [label, all.join(', ') || 'nothing: it is the end'];
    }),
  );
  const changes = table('The last changes of the state', ['When', 'From', 'To']);
  body.append(picture, behind('The states', states), changes.element);
  const drawPicture = part(picture, (now: string | null) => [drawn(diagram, now)]);
  let shownNow: string | null = null;
  // Where the picture is wider than the card.
  const scroll = (): void => {
    const node = diagram.nodes.find(({ status }) => status === shownNow);
    if (node === undefined) return;
    picture.scrollLeft = (centre(node).x / total.width) * picture.scrollWidth - picture.clientWidth / 2;
  };
  new ResizeObserver(scroll).observe(picture);
  const drawNow = part(extra, ({ status, history }: Shown): Child[] => {
    const at = history?.changes[0]?.at;
    const since = at === undefined ? '' : ` since ${shownTime(at)}`;
    return status === null ? ['no compute_ctl runs'] : [h('b', {}, words(status)), since];
  });
  return {
    element,
    update(shown) {
      drawPicture(shown.status);
      if (shown.status !== shownNow) {
        shownNow = shown.status;
        scroll();
      }
      drawNow(shown);
      changes.fill(
        (shown.history?.changes ?? [])
          .slice(0, mostChanges)
          .map(({ at, from, to }) => [shownTime(at), words(from), words(to)]),
      );
    },
  };
}

const isEnd = (status: string): boolean => status.startsWith('terminat');

const centre = ({ column, row }: DiagramNode): { x: number; y: number } => ({
  x: size.left + column * size.column + size.width / 2,
  y: size.top + row * size.row + size.height / 2,
});

function drawn({ nodes, edges }: Diagram, now: string | null): SVGElement {
  const of = new Map(nodes.map((node) => [node.status, node]));
  const arrow = svg(
    'marker',
    {
      id: 'arrow',
      viewBox: '0 0 8 8',
      refX: '7',
      refY: '4',
      markerWidth: '7',
      markerHeight: '7',
      orient: 'auto',
    },
    svg('path', { d: 'M0 0 8 4 0 8z', class: 'tip' }),
  );
  const exits = nodes.filter((node) => node.isExit);
  const y = size.top + 2 * size.row - 22;
  const frame = svg('rect', { class: 'frame', x: '1', y: String(y), width: '720', height: '104', rx: '10' });
  const said = svg('text', { class: 'said', x: '12', y: String(y + 94) }, 'every state may lead to these');
  const paths = edges.map(({ from, to }) => {
    const [a, b] = [of.get(from), of.get(to)];
    const isNow = from === now ? ' now' : '';
    return a === undefined || b === undefined
      ? null
      : svg('path', { class: `edge${isNow}`, d: pathOf(a, b), 'marker-end': 'url(#arrow)' });
  });
  return svg(
    'svg',
    {
      class: 'diagram',
      viewBox: `0 0 ${total.width} ${total.height}`,
      role: 'img',
      'aria-label': `State diagram; the state is ${now === null ? 'not known' : words(now)}`,
    },
    svg('defs', {}, arrow),
    exits.length === 0 ? null : frame,
    said,
    ...paths,
    ...nodes.map((node) => box(node, now)),
  );
}

function box(node: DiagramNode, now: string | null): SVGElement {
  const { x, y } = centre(node);
  const [first = '', ...rest] = linesOf(node.label);
  const kind = node.status === now ? ` now ${node.status}` : '';
  const text = (line: string, at: number): SVGElement => svg('text', { x: String(x), y: String(at) }, line);
  const from = rest.length === 0 ? y + 4 : y - 3;
  return svg(
    'g',
    { class: `state${kind}` },
    svg('rect', {
      x: String(x - size.width / 2),
      y: String(y - size.height / 2),
      width: String(size.width),
      height: String(size.height),
      rx: '8',
    }),
    text(first, from),
    ...rest.map((line) => text(line, from + 15)),
  );
}

/** Two lines at most. */
function linesOf(label: string): string[] {
  if (label.length <= 16) return [label];
  const at = label.lastIndexOf(' ');
  return [label.slice(0, at), label.slice(at + 1)];
}

/** From the edge of one box to that of the other; both ways beside each other. */
function pathOf(a: DiagramNode, b: DiagramNode): string {
  const [from, to] = [centre(a), centre(b)];
  const [w, half] = [size.width / 2, size.height / 2];
  if (a.row === b.row) {
    const right = b.column > a.column ? 1 : -1;
    if (Math.abs(b.column - a.column) === 1)
      return `M${from.x + right * w} ${from.y}H${to.x - right * (w + 1)}`;
    const low = from.y + half + 22;
    return `M${from.x} ${from.y + half}C${from.x} ${low} ${to.x} ${low} ${to.x} ${to.y + half + 1}`;
  }
  const down = b.row > a.row ? 1 : -1;
  const aside = a.column === b.column ? 12 * down : 0;
  const towards = Math.sign(b.column - a.column) * 34;
  return `M${from.x + towards + aside} ${from.y + down * half}L${to.x - towards + aside} ${to.y - down * (half + 1)}`;
}
