import { ComputeError } from '../../core/errors.ts';
import type { Action, ActionContext, Facts, Fields } from './action.ts';
import { applyAction, pruneAction } from './apply-action.ts';
import { branchAction } from './branch-action.ts';
import { computeActions } from './compute-actions.ts';
import { commandFor } from '../state.ts';
import { FieldProblems, pathOf } from './field-problems.ts';
import type { Offer } from './model.ts';

/** Everything that can be done from the page: an action is added here alone. */
const actions: Readonly<Record<string, Action>> = {
  stop: {
    title: 'Stop everything',
    doc: 'Ends this compute-local up with its replicas, and this page. Branches go on. The data stays in the storage.',
    dangerous: true,
    targets: () => [''],
    atOnce: true,
    run({ dir }) {
      // As Ctrl-C does: one way to stop. The answer leaves first.
      setImmediate(() => process.kill(process.pid, 'SIGTERM'));
      return Promise.resolve(`Stopping. Start it again with: ${commandFor(dir, 'up')}`);
    },
  },
  ...computeActions,
  branch: branchAction,
  apply: applyAction,
  prune: pruneAction,
};

const actionOf = (name: string): Action | undefined =>
  Object.hasOwn(actions, name) ? actions[name] : undefined;

/** Whether an action does not wait for the others. */
export const isAtOnce = (name: string): boolean => actionOf(name)?.atOnce === true;

/** Whether it depends on the plan, which takes longer than all other facts. */
export const readsPlan = (name: string): boolean => actionOf(name)?.readsPlan === true;

/** What can be done now. Pure. */
export const offersOf = (facts: Facts): Offer[] =>
  Object.entries(actions).flatMap(([action, { title, doc, dangerous, targets, fields, lines }]) =>
    targets(facts).map((target) => ({
      ...{ action, target, title, doc, dangerous },
      fields: fields?.(facts) ?? [],
      lines: lines?.(facts) ?? [],
    })),
  );

export interface Given {
  readonly action: string;
  readonly target: string;
  readonly fields?: Fields | undefined;
}

/** Does what is offered, and nothing else.
 *  @throws ComputeError `conflict` for what is not offered now; FieldProblems; what the action throws */
export function act(
  facts: Facts,
  { action, target, fields = {} }: Given,
  context: ActionContext,
): Promise<string> {
  const offer = offersOf(facts).find((one) => one.action === action && one.target === target);
  const found = actionOf(action);
  if (offer === undefined || found === undefined) throw notNow(facts, action, target);
  checkFields(offer, fields);
  return found.run(context, target, fields);
}

/** With the reason, where that is known: the page may show what was so a moment ago. */
function notNow({ report, tree, plan }: Facts, action: string, target: string): ComputeError {
  const state = [...report.computes, ...(tree?.computes ?? [])].find(({ name }) => name === target)?.state;
  const why = planFault(action, plan) ?? stateText(target, state);
  return new ComputeError('conflict', `this cannot be done now${why}`, {
    hint: 'see the checklist, and what the page offers now',
  });
}

const planFault = (action: string, plan: Facts['plan']): string | null =>
  readsPlan(action) && typeof plan?.error === 'string' ? `: ${plan.error}` : null;

const stateText = (name: string, state: string | undefined): string =>
  state === undefined ? '' : `: ${name} is in the state "${state.replaceAll('_', ' ')}"`;

/** @throws FieldProblems for a field that is not asked for, and for what is none of its choices */
function checkFields({ fields }: Offer, given: Fields): void {
  const problems = Object.entries(given).flatMap(([name, value]) => {
    const field = fields.find((one) => one.name === name);
    if (field === undefined) return [{ path: pathOf(name), message: 'there is no such field' }];
    if (field.kind !== 'choice' || field.choices.includes(value)) return [];
    return [{ path: pathOf(name), message: `Expected ${field.choices.join(' or ')}.` }];
  });
  if (problems.length > 0) throw new FieldProblems(problems);
}
