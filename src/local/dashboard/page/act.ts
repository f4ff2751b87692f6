import type { Offer, Outcome } from '../model.ts';
import { h } from './dom.ts';
import { shownDuration } from './format.ts';

/** Where the outcome is said; screen readers say it, too. */
export const status = h('div', { class: 'status', role: 'status' });

function say(text: string, kind: 'ok' | 'bad' | 'wait'): void {
  status.className = `status ${kind}`;
  status.textContent = text;
}

/** A button that asks before it does something. */
export const actionButton = (offer: Offer): HTMLElement =>
  h(
    'button',
    {
      type: 'button',
      class: offer.dangerous ? 'danger' : '',
      'data-action': offer.action,
      click: () => confirm(offer),
    },
    offer.title,
  );

function confirm(offer: Offer): void {
  const what = offer.target === '' ? offer.title : `${offer.title} ${offer.target}`;
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'ask', close: () => dialog.remove() },
    h('h2', { id: 'ask' }, `${what}?`),
    h('p', {}, offer.doc),
    h(
      'form',
      {
        method: 'dialog',
        submit: (event) => {
          const { submitter } = event as SubmitEvent;
          if (submitter?.getAttribute('value') === 'yes') void perform(offer, what);
        },
      },
      h('button', { value: 'no' }, 'Cancel'),
      h('button', { value: 'yes', class: offer.dangerous ? 'danger' : 'main' }, what),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

async function perform({ action, target }: Offer, what: string): Promise<void> {
  say(`${what} …`, 'wait');
  try {
    const answer = await fetch('actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action, target }),
    });
    const { ok, message, ms } = (await answer.json()) as Outcome & { readonly error?: string };
    if (ok) say(`${message} (${shownDuration(ms)})`, 'ok');
    else say(`${what}: ${message ?? `status ${answer.status}`}`, 'bad');
  } catch (error) {
    say(`${what}: ${error instanceof Error ? error.message : 'no answer'}`, 'bad');
  }
}
