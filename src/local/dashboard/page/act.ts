import type { Messages, Offer, Outcome } from '../model.ts';
import { focusOn, h, keyed } from './dom.ts';
import { type Form, formOf } from './form.ts';
import { shownDuration } from './format.ts';

/** Where the outcome is said; screen readers say it, too. */
export const status = h('div', { class: 'status', role: 'status' });

type Kind = 'ok' | 'bad' | 'wait';
type Say = (text: string, kind: Kind) => void;

const say: Say = (text, kind) => {
  status.className = `status ${kind}`;
  status.textContent = text;
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
    if (document.activeElement === document.body) focusOn(key);
  };
  return h(
    'button',
    {
      type: 'button',
      class: offer.dangerous ? 'danger' : '',
      'data-action': offer.action,
      'data-about': about,
      ...keyed(key),
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
    { 'aria-labelledby': 'ask', close: end },
    h('h2', { id: 'ask' }, `${what}?`),
    h('p', {}, offer.doc),
    offer.lines.length === 0
      ? null
      : h('ul', { class: 'lines' }, ...offer.lines.map((line) => h('li', {}, line))),
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
      to(`${what}: ${reason}${typeof hint === 'string' ? `\nWhat to do: ${hint}` : ''}`, 'bad');
    }
    return ok === true;
  } catch (error) {
    to(`${what}: ${error instanceof Error ? error.message : 'no answer'}`, 'bad');
    return false;
  } finally {
    pending.delete(waiting);
  }
}
