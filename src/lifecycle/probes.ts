import { isTerminating } from '../core/status.ts';
import type { StuckReason } from '../monitor/commits.ts';
import { stuckWords } from '../monitor/watch-commits.ts';
import type { ProbeReport } from './api.ts';
import type { ComputeState } from './state.ts';

export const countsAsStarted = 'no spec yet, which counts as started (--empty-counts-as-started)';

/** Whether Postgres accepts clients and answers them. */
export function readiness(state: ComputeState): ProbeReport {
  const { lifecycle, postgres, monitor } = state;
  const { status, since } = lifecycle;
  const no = (reason: string, from = since): ProbeReport => ({ ok: false, since: from, reason });
  if (status === 'terminated') return no('the compute has terminated');
  if (isTerminating(status)) return no('the compute is shutting down');
  if (postgres === null || status === 'empty' || status === 'init') return no(notStarted(state));
  if (!postgres.running) return no('Postgres has ended: see error in GET /status');
  const report = monitor?.begun === true ? monitor.postgresReport() : null;
  const stuck = report === null ? null : (monitor?.stuckCommits ?? null);
  if (report?.up === true && stuck !== null)
    return no(`commits do not return: ${stuckReason(state, stuck.reason)}`, new Date(stuck.sinceWallMs));
  if (report === null || report.up)
    return { ok: true, since: report === null ? since : new Date(report.since), reason: null };
  const sqlstate = report.sqlstate === null ? '' : ` ${report.sqlstate}`;
  return no(`Postgres does not answer: ${report.reason ?? 'other'}${sqlstate}`, new Date(report.since));
}

/** What the storage says about itself, where it can be asked, else what Postgres shows. */
const stuckReason = ({ storage }: ComputeState, reason: StuckReason): string =>
  storage?.words ?? stuckWords[reason];

/** Whether the first start has succeeded. Once it has, that stays. */
export function startup(state: ComputeState): ProbeReport {
  const { lifecycle, waitedSince, emptyCountsAsStarted } = state;
  if (emptyCountsAsStarted && waitedSince !== null)
    return { ok: true, since: waitedSince, reason: lifecycle.status === 'empty' ? countsAsStarted : null };
  if (lifecycle.startedAt !== null) return { ok: true, since: lifecycle.startedAt, reason: null };
  return { ok: false, since: lifecycle.since, reason: notStarted(state) };
}

function notStarted({ lifecycle, spec, steps }: ComputeState): string {
  const { status, startedAt, failure } = lifecycle;
  if (startedAt !== null) return 'Postgres has ended: see error in GET /status';
  if (status === 'empty' && spec === null) return 'no spec yet: waiting for POST /configure';
  if (status === 'failed') {
    const where = failure?.step ? ` at the step ${failure.step}` : '';
    return `the start failed${where}: see error in GET /status`;
  }
  if (isTerminating(status)) return 'it was stopped before the first start had finished';
  return steps.size === 0 ? 'the start begins' : `the start is at the step ${[...steps].join(', ')}`;
}
