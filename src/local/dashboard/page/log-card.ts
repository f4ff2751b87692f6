import { storageLog } from '../log-lines.ts';
import type { LogLine } from '../model.ts';
import { card, h } from './dom.ts';

const mostLines = 400;

interface LogCard {
  readonly element: HTMLElement;
  take(name: string, lines: readonly LogLine[], isWhole: boolean): void;
  choose(name: string): void;
}

/** The end of a log. It follows what is added, unless somebody has scrolled up. */
export function logCard(): LogCard {
  const { element, body, extra } = card('Log', 12);
  const logs = new Map<string, readonly LogLine[]>();
  let compute = 'main';
  const list = h('pre', {
    class: 'log',
    tabindex: '0',
    role: 'log',
    'aria-live': 'off',
    'aria-label': 'Log',
  });
  const search = h('input', {
    type: 'search',
    id: 'search',
    placeholder: 'Filter',
    'aria-label': 'Lines with',
  });
  const requests = h('input', { type: 'checkbox', id: 'requests' });
  const storage = h('input', { type: 'checkbox', id: 'of-storage' });
  extra.append(
    search,
    h('label', { for: 'requests' }, requests, ' requests'),
    h('label', { for: 'of-storage' }, storage, ' of the storage'),
  );
  body.append(list);
  const isShown = ({ text, isRequest }: LogLine): boolean =>
    (requests.checked || !isRequest) && text.toLowerCase().includes(search.value.toLowerCase());
  const name = (): string => (storage.checked ? storageLog : compute);
  const add = (lines: readonly LogLine[]): void => {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...lines.filter(isShown).map(lineOf));
    while (list.childElementCount > mostLines) list.firstElementChild?.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
  const draw = (): void => {
    list.replaceChildren();
    add(logs.get(name()) ?? []);
    list.scrollTop = list.scrollHeight;
  };
  for (const input of [search, requests, storage]) input.addEventListener('input', draw);
  return {
    element,
    take(of, lines, isWhole) {
      logs.set(of, [...(isWhole ? [] : (logs.get(of) ?? [])), ...lines].slice(-mostLines));
      if (of !== name()) return;
      if (isWhole) draw();
      else add(lines);
    },
    choose(chosen) {
      if (chosen === compute) return;
      compute = chosen;
      draw();
    },
  };
}

const level = / (WARN|ERROR|FATAL|PANIC)[ :]/;

/** Between the lines of one message of Postgres. */
const joint = '\u200B';

const lineOf = ({ text }: LogLine): HTMLElement => {
  const found = level.exec(text)?.[1];
  return h(
    'div',
    { class: found === undefined ? '' : found === 'WARN' ? 'warn' : 'bad' },
    text.replaceAll(joint, '\n    '),
  );
};
