import type { Messages, Offer, Outcome } from '../model.ts';
import { alarm } from './clock.ts';
import { command } from './command.ts';
import { focusOn, h, keyed, setText } from './dom.ts';
import { type Form, formOf } from './form.ts';
import { shownDuration } from './format.ts';

/** Where the outcome is said; screen readers say it, too. */
export const status = h('div', { class: 'status', role: 'status' });

type Kind = 'ok' | 'bad' | 'wait';
type Say = (text: string, kind: Kind) => void;

/** In view, also where somebody has scrolled far down. */
const inViewMs = 10_000;
let keepInView = (): void => {};

const say: Say = (text, kind) => {
  keepInView();
  status.className = `status ${kind} new`;
  setText(status, text);
  if (kind !== 'wait') keepInView = alarm(inViewMs, () => status.classList.remove('new'));
};

interface Pending {
  readonly offer: Offer;
  readonly say: Say;
}

/** What the page waits for. */
const pending = new Set<Pending>();

/** The server says what it is doing. */
export function tellProgress({ action, target, what }: Messages['progress']): void {
  for (const { offer, say: to } of pending)
    if (offer.action === action && offer.target === target) to(`${nameOf(offer)}: ${what}`, 'wait');
}

const nameOf = ({ title, target }: Offer): string => (target === '' ? title : `${title} ${target}`);

/** A button that asks before it does something.
 *  @param preset values of fields
 *  @param about what it is about, where that is not its target */
export const actionButton = (
  offer: Offer,
  preset: Readonly<Record<string, string>> = {},
  about = offer.target,
): HTMLElement => {
  const key = `${offer.action} ${about}`;
  // The button may have been drawn again meanwhile.
  const closed = (): void => {
    if (document.activeElement === document.body) focusOn(key, about);
  };
  return h(
    'button',
    {
      type: 'button',
      class: offer.dangerous ? 'danger' : '',
      'data-action': offer.action,
      ...keyed(key, about),
      'aria-label': about === '' ? offer.title : `${offer.title} ${about}`,
      click: () => ask(offer, preset, closed),
    },
    offer.title,
  );
};

/** One that has something to be written stays open until the server has taken it. */
function ask(offer: Offer, preset: Readonly<Record<string, string>>, closed: () => void): void {
  const what = nameOf(offer);
  const form = formOf(offer.fields, preset);
  const said = h('p', { class: 'said', role: 'status' });
  // Not what Enter in a field means.
  const no = h('button', { type: 'button', value: 'no', click: () => dialog.close() }, 'Cancel');
  const yes = h('button', { value: 'yes', class: offer.dangerous ? 'danger' : 'main' }, what);
  const stay = async (): Promise<void> => {
    yes.disabled = true;
    const isDone = await perform(offer, form, (text, kind) => {
      said.className = `said ${kind}`;
      said.textContent = text;
      // Where nobody waits for it there, or it is over.
      if (kind === 'ok' || !dialog.open) say(text, kind);
    });
    yes.disabled = false;
    if (isDone) dialog.close();
  };
  const end = (): void => {
    dialog.remove();
    closed();
  };
  const dialog: HTMLDialogElement = h(
    'dialog',
    { 'aria-labelledby': 'ask', 'aria-describedby': 'ask-doc', close: end },
    h('h2', { id: 'ask' }, `${what}?`),
    h('p', { id: 'ask-doc' }, offer.doc),
    offer.lines.length === 0
      ? null
      : h(
          'ul',
          { class: 'lines', tabindex: '0', 'aria-label': 'What it does' },
          ...offer.lines.map((line) => h('li', {}, line)),
        ),
    h(
      'form',
      {
        method: 'dialog',
        submit(event) {
          if (!form.isWritten) {
            void perform(offer, form, say);
            return;
          }
          event.preventDefault();
          void stay();
        },
      },
      ...form.elements,
      said,
      h('div', { class: 'buttons' }, no, yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector<HTMLElement>('input[type="text"]') ?? no).focus();
}

/** @returns whether it was done */
async function perform(offer: Offer, form: Form, to: Say): Promise<boolean> {
  const { action, target } = offer;
  const what = nameOf(offer);
  const waiting = { offer, say: to };
  pending.add(waiting);
  form.tell([]);
  to(`${what} …`, 'wait');
  try {
    const answer = await fetch('actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action, target, fields: form.values() }),
    });
    const outcome = (await answer.json()) as Partial<Outcome> & { readonly error?: string };
    const { ok, message, hint, ms = 0, problems = [] } = outcome;
    form.tell(problems);
    if (ok === true) to(`${message ?? ''} (${shownDuration(ms)})`, 'ok');
    else if (problems.length > 0 && form.isWritten) to('Nothing was done: see above.', 'bad');
    else {
      const reason = message ?? outcome.error ?? `status ${answer.status}`;
      const todo = answer.status === 401 ? `get a new link with: ${command('dashboard')}` : hint;
      to(`${what}: ${reason}${typeof todo === 'string' ? `\nWhat to do: ${todo}` : ''}`, 'bad');
    }
    return ok === true;
  } catch {
    to(
      `${what}: there was no answer, and it may have been done all the same.\nWhat to do: see ${command('status')}`,
      'bad',
    );
    return false;
  } finally {
    pending.delete(waiting);
  }
}
