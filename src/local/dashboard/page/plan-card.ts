import type { Offer, Plan } from '../model.ts';
import { actionButton } from './act.ts';
import { command } from './command.ts';
import type { Drawn } from './cards.ts';
import { type Child, card, h, part } from './dom.ts';
import { shownTime } from './format.ts';

export interface PlanShown {
  readonly plan: Plan | null;
  readonly offers: readonly Offer[];
}

/** The actions that are at the plan. */
export const ofPlan: readonly string[] = ['apply', 'prune'];

/** What `apply` would do. */
export function planCard(): Drawn<PlanShown> {
  const { element, body, extra } = card('Pending plan', 5);
  const drawExtra = part(extra, (plan: Plan | null): Child[] => {
    if (plan?.state === 'faulty') return [h('span', { class: 'fault' }, 'cannot be applied')];
    if (plan?.state !== 'known') return [];
    const { length } = plan.changes;
    return [length === 0 ? 'nothing to do' : length === 1 ? '1 change' : `${length} changes`];
  });
  const drawBody = part(body, ({ plan, offers }: PlanShown): Child[] => {
    if (plan === null) return [];
    const buttons = offers.filter(({ action }) => ofPlan.includes(action)).map((one) => actionButton(one));
    return [
      ...contentOf(plan),
      buttons.length === 0 ? null : h('div', { class: 'actions' }, ...buttons),
      h('p', { class: 'note' }, [plan.file, applied(plan)].join('; ')),
    ];
  });
  return {
    element,
    update(shown) {
      // It is compared again and again; that alone is no change.
      const plan = shown.plan === null ? null : { ...shown.plan, at: '' };
      drawExtra(plan);
      drawBody({ ...shown, plan });
    },
  };
}

const applied = ({ appliedAt }: Plan): string =>
  appliedAt === null ? 'nothing was applied yet' : `last apply: ${shownTime(appliedAt)}`;

const listOf = (lines: readonly string[]): HTMLElement =>
  h('ul', { class: 'lines' }, ...lines.map((line) => h('li', {}, line)));

const code = (text: string): HTMLElement => h('code', {}, text);

function contentOf(plan: Plan): Child[] {
  const { state, problems, error, hint, changes, left, against } = plan;
  if (state === 'absent')
    return [
      h('p', {}, 'There is no compute.json: roles, databases, extensions and settings are not asked for.'),
      hint === null ? null : h('p', { class: 'hint' }, h('b', {}, 'What to do: '), hint),
    ];
  if (state === 'faulty')
    return [
      error === null ? null : h('p', { class: 'problem' }, error),
      problems.length === 0
        ? null
        : h(
            'ul',
            { class: 'lines' },
            ...problems.map(({ path, line, column, message }) =>
              h(
                'li',
                { class: 'fault' },
                `line ${line}, column ${column}: `,
                path === '' ? null : code(path),
                path === '' ? null : ': ',
                message,
              ),
            ),
          ),
      hint === null ? null : h('p', { class: 'hint' }, h('b', {}, 'What to do: '), hint),
    ];
  const compared =
    against === 'Postgres'
      ? 'Compared with the Postgres that runs.'
      : 'Compared with what was applied last: Postgres does not run, and is not woken for this.';
  return [
    changes.length === 0 ? h('p', {}, 'Nothing to do: everything is as compute.json asks.') : listOf(changes),
    left.length === 0
      ? null
      : h(
          'p',
          { class: 'note' },
          `No longer in compute.json, and stays: ${left.join(', ')}. To drop it with its data: `,
          code(command('apply --prune')),
        ),
    h('p', { class: 'note' }, compared),
  ];
}
