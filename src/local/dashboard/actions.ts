import { elapsedMs, monotonicMs } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { promote } from '../commands/promote.ts';
import { mainName } from '../names.ts';
import { endNode } from '../nodes.ts';
import type { Report } from '../report.ts';
import type { LocalDir } from '../state.ts';
import type { ComputeReport, StatusReport } from '../status/schema.ts';
import { wake } from '../wake.ts';
import type { Offer } from './model.ts';

export interface ActionContext {
  readonly dir: LocalDir;
  readonly report: Report;
  readonly signal: AbortSignal;
}

interface Action {
  readonly title: string;
  readonly doc: string;
  readonly dangerous: boolean;
  /** Whether it is offered for a compute; `everything`: it is offered once, for all. */
  readonly about: 'everything' | ((compute: ComputeReport) => boolean);
  /** @returns what was done */
  run(context: ActionContext, target: string): Promise<string>;
}

/** Everything that can be done from the page: an action is added here alone. */
const actions: Readonly<Record<string, Action>> = {
  stop: {
    title: 'Stop everything',
    doc: 'Ends this compute-local up with all its computes and with this page. The data stays in the storage.',
    dangerous: true,
    about: 'everything',
    run() {
      // As Ctrl-C does: one way to stop. The answer leaves first.
      setImmediate(() => process.kill(process.pid, 'SIGTERM'));
      return Promise.resolve('Stopping. Start it again with: compute-local up');
    },
  },
  wake: {
    title: 'Wake',
    doc: 'Starts Postgres now, as the next client would.',
    dangerous: false,
    about: ({ name, state }) => name === mainName && state === 'asleep',
    async run({ dir, signal }, name) {
      const startMs = monotonicMs();
      await wake(dir, signal);
      return `${name} is awake, after ${elapsedMs(startMs)} ms.`;
    },
  },
  promote: {
    title: 'Promote',
    doc: 'Makes this replica the primary. The former primary becomes a replica, and its sessions end.',
    dangerous: true,
    // The main compute becomes the primary when `up` starts again, and in no other way.
    about: ({ name, role, state }) => name !== mainName && role === 'replica' && state === 'running',
    async run({ dir, report, signal }, name) {
      await promote(dir, name, report, signal);
      return `${name} is the primary.`;
    },
  },
  'stop-node': {
    title: 'Stop',
    doc: 'Ends the compute-local up of this node. Nothing is lost.',
    dangerous: false,
    about: ({ name, role, up_pid }) => name !== mainName && role !== 'primary' && up_pid !== null,
    async run({ dir, report, signal }, name) {
      await endNode(dir, name, report, signal);
      return `${name} has stopped.`;
    },
  },
};

/** What can be done now. Pure. */
export const offersOf = ({ computes }: StatusReport): Offer[] =>
  Object.entries(actions).flatMap(([action, { title, doc, dangerous, about }]) => {
    const targets = about === 'everything' ? [''] : computes.filter(about).map(({ name }) => name);
    return targets.map((target) => ({ action, target, title, doc, dangerous }));
  });

/** Does what is offered, and nothing else.
 *  @throws ComputeError `conflict` for what is not offered now; what the action throws */
export function act(
  report: StatusReport,
  { action, target }: { readonly action: string; readonly target: string },
  context: ActionContext,
): Promise<string> {
  const isOffered = offersOf(report).some((one) => one.action === action && one.target === target);
  const found = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (!isOffered || found === undefined)
    throw new ComputeError('conflict', 'this cannot be done now', { hint: 'reload the page' });
  return found.run(context, target);
}
