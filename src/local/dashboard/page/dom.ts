export type Child = Node | string | null;

type Props = Readonly<Record<string, string | boolean | ((event: Event) => void)>>;

function fill(element: Element, props: Props, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children) if (child !== null) element.append(child);
}

/** An element of HTML. What is text stays text. */
export function h<N extends keyof HTMLElementTagNameMap>(
  name: N,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[N] {
  const element = document.createElement(name);
  fill(element, props, children);
  return element;
}

export function svg(name: string, props: Props = {}, ...children: readonly Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  fill(element, props, children);
  return element;
}

/** Sets a property of its style: the policy of the page allows no style attributes. */
export function styled<E extends HTMLElement>(element: E, properties: Readonly<Record<string, string>>): E {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

/** A part of the page that is drawn again when what it shows has changed, so that focus and selection stay otherwise. */
export function part<T>(into: Element, draw: (data: T) => readonly Child[]): (data: T) => void {
  let last = '';
  return (data) => {
    const now = JSON.stringify(data) ?? '';
    if (now === last) return;
    last = now;
    const { activeElement: active } = document;
    const key = into.contains(active) ? active?.getAttribute(keyName) : null;
    const group = active?.getAttribute(groupName) ?? '';
    into.replaceChildren(...draw(data).filter((child) => child !== null));
    if (typeof key === 'string') focusOn(key, group, into);
  };
}

const keyName = 'data-key';
const groupName = 'data-about';

/** Keeps the focus on what takes its place when the part is drawn again. */
export const keyed = (key: string, group: string): Readonly<Record<string, string>> => ({
  [keyName]: key,
  [groupName]: group,
});

/** On that, or on something of its group, as Wake in the place of Sleep; else the focus would be lost, and with it the place. */
export function focusOn(key: string, group: string, within: Element = document.body): void {
  const found = (name: string, value: string): HTMLElement | null =>
    within.querySelector(`${name}="${CSS.escape(value)}"]`);
  const first = found(`[${keyName}`, key) ?? found(`button[${groupName}`, group);
  if (first !== null) {
    first.focus();
    return;
  }
  const place = within.closest('section')?.querySelector('h2') ?? document.querySelector('main');
  place?.setAttribute('tabindex', '-1');
  place?.focus({ preventScroll: true });
}

/** Only when it is another one: what is in a live region is said again whenever it is set. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export interface Card {
  readonly element: HTMLElement;
  readonly body: HTMLElement;
  readonly extra: HTMLElement;
}

/** @param size of 12 columns where there is room */
export function card(title: string, size: 4 | 5 | 6 | 7 | 12): Card {
  const id = `card-${title.toLowerCase().replaceAll(/\W+/g, '-')}`;
  const body = h('div', { class: 'body' });
  const extra = h('div', { class: 'extra' });
  const head = h('div', { class: 'head' }, h('h2', { id }, title), extra);
  return {
    element: h('section', { class: `card w${size}`, 'aria-labelledby': id }, head, body),
    body,
    extra,
  };
}

export interface Table {
  readonly element: HTMLElement;
  fill(rows: readonly (readonly Child[])[]): void;
}

/** A table that scrolls in itself where it is too wide. The first cell names the row. */
export function table(caption: string, heads: readonly string[]): Table {
  const body = h('tbody');
  const line = h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)));
  const title = h('caption', { class: 'hidden' }, caption);
  const whole = h('table', {}, title, h('thead', {}, line), body);
  return {
    element: h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, whole),
    fill: (rows) =>
      body.replaceChildren(
        ...rows.map(([first = null, ...rest]) =>
          h('tr', {}, h('th', { scope: 'row' }, first), ...rest.map((cell) => h('td', {}, cell))),
        ),
      ),
  };
}

/** What a chart shows, as a table that can be opened. */
export function behind(what: string, { element }: Table): HTMLElement {
  return h('details', {}, h('summary', {}, `${what} as a table`), element);
}
