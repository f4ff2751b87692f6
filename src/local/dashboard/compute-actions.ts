import * as v from 'valibot';
import { ComputeError } from '../../core/errors.ts';
import { asBefore, startInBackground } from '../branches/start.ts';
import { promote } from '../commands/promote.ts';
import { mainName } from '../names.ts';
import { endNode } from '../nodes.ts';
import { stateOf } from '../state.ts';
import type { ComputeReport } from '../status/schema.ts';
import { stopDir } from '../stop-dir.ts';
import { wake } from '../wake.ts';
import { type Action, type Facts, dirOf } from './action.ts';
import { askUp } from './ask-up.ts';
import { sleepPath } from './link.ts';
import type { TreeNode } from './tree-model.ts';

const nodes = (is: (compute: ComputeReport) => boolean): Action['targets'] => {
  return ({ report }) =>
    report.computes.filter((one) => one.name !== mainName && is(one)).map(({ name }) => name);
};

/** Main by its status, which knows more, and branches. */
const places = (
  isMain: (main: ComputeReport, facts: Facts) => boolean,
  isBranch: (branch: TreeNode) => boolean,
): Action['targets'] => {
  return (facts) => [
    ...facts.report.computes
      .filter((one) => one.name === mainName && isMain(one, facts))
      .map(({ name }) => name),
    ...(facts.tree?.computes ?? [])
      .filter((one) => one.name !== mainName && isBranch(one))
      .map(({ name }) => name),
  ];
};

/** Longer than a stop of Postgres may take. */
const sleepMs = 160_000;
const refused = v.object({ error: v.string(), hint: v.optional(v.nullable(v.string())) });

export const computeActions: Readonly<Record<string, Action>> = {
  wake: {
    title: 'Wake',
    doc: 'Starts Postgres now, as the next client would.',
    dangerous: false,
    targets: places(
      ({ state }) => state === 'asleep',
      ({ state }) => state === 'asleep',
    ),
    async run({ dir, signal }, name) {
      await wake(dirOf(dir, name), signal);
      return `${name} is awake.`;
    },
  },
  sleep: {
    title: 'Sleep',
    doc: 'Stops Postgres now, as if nobody had used it for a while. Idle clients stay connected, and the next statement wakes it. What would lose something keeps it awake.',
    dangerous: false,
    targets: places(
      ({ state }, { sleeps }) => state === 'running' && sleeps,
      ({ state, sleeps }) => state === 'running' && sleeps,
    ),
    async run({ dir, sleepNow, signal }, name) {
      if (name === mainName) await sleepNow.ask(signal);
      else {
        const { ok, body } = await askUp(dirOf(dir, name), sleepPath, sleepMs, signal);
        if (!ok) {
          const found = v.safeParse(refused, body);
          const { error, hint } = found.success ? found.output : { error: 'its `up` gave no answer' };
          throw new ComputeError('conflict', error, typeof hint === 'string' ? { hint } : {});
        }
      }
      return `${name} sleeps.`;
    },
  },
  start: {
    title: 'Start',
    doc: 'Starts it in the background, as compute-local start does.',
    dangerous: false,
    targets: places(
      () => false,
      ({ state }) => state === 'stopped',
    ),
    async run({ dir, pgBinDir, report, signal }, name) {
      const own = dirOf(dir, name);
      const { listenAll = false, front } = stateOf(own);
      // One that never slept goes on so.
      const options = { ...asBefore, pgBinDir, listenAll, ...(front === false ? { suspendAfter: 0 } : {}) };
      const { ports } = await startInBackground(own, options, report, signal);
      return `${name} runs on port ${ports.postgres}.`;
    },
  },
  promote: {
    title: 'Promote',
    doc: 'Makes this replica the primary. The former primary becomes a replica, and its sessions end.',
    dangerous: true,
    // The main compute becomes the primary when `up` starts again, and in no other way.
    targets: nodes(({ role, state }) => role === 'replica' && state === 'running'),
    async run({ dir, report, signal }, name) {
      await promote(dir, name, report, signal);
      return `${name} is the primary.`;
    },
  },
  'stop-node': {
    title: 'Stop',
    doc: 'Ends the compute-local up of this node. Nothing is lost.',
    dangerous: false,
    targets: nodes(({ role, up_pid }) => role !== 'primary' && up_pid !== null),
    async run({ dir, report, signal }, name) {
      await endNode(dir, name, report, signal);
      return `${name} has stopped.`;
    },
  },
  'stop-branch': {
    title: 'Stop',
    doc: 'Ends the compute-local up of this branch, and the sessions of its clients. The data stays.',
    dangerous: true,
    targets: places(
      () => false,
      ({ state }) => !['stopped', 'stopping'].includes(state),
    ),
    async run({ dir, report, log, signal }, name) {
      await stopDir(dirOf(dir, name), { ...report, event: () => {} }, log, signal);
      return `${name} has stopped.`;
    },
  },
};
