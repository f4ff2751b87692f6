import { type Status, isTerminating } from '../core/status.ts';
import { readiness, startup } from './probes.ts';
import type { ComputeState } from './state.ts';

/** What systemd is told about a compute. */
export interface Told {
  readonly phase: 'starting' | 'ready' | 'reloading' | 'stopping';
  /** For `systemctl status`. */
  readonly words: string;
}

export const reloading: Told = { phase: 'reloading', words: 'applying a configuration' };

const reloads: readonly Status[] = [
  'configuration_pending',
  'configuration',
  'refresh_configuration_pending',
  'refresh_configuration',
];
export const isReloading = (status: Status): boolean => reloads.includes(status);

/** Pure: the same state gives the same words. */
export function toldOf(state: ComputeState): Told {
  const { lifecycle, postgres } = state;
  const { status } = lifecycle;
  if (isTerminating(status))
    return { phase: 'stopping', words: postgres === null ? 'shutting down' : 'stopping Postgres' };
  if (status === 'failed' && postgres === null)
    return { phase: 'stopping', words: `failed: ${lifecycle.error ?? 'unknown error'}` };
  const started = startup(state);
  if (!started.ok) return { phase: 'starting', words: started.reason ?? 'starting' };
  if (lifecycle.startedAt !== null && isReloading(status)) return reloading;
  return { phase: 'ready', words: [...said(state)].join('; ') };
}

/** The worst first: a terminal shows the beginning. */
function* said(state: ComputeState): Generator<string> {
  const { lifecycle, monitor, databases, pendingRestart } = state;
  const ready = readiness(state);
  if (!ready.ok) yield `${ready.reason ?? 'not ready'}, since ${ready.since.toISOString()}`;
  if (lifecycle.status === 'failed') yield `the last configuration failed: ${lifecycle.error ?? ''}`;
  if (ready.ok && lifecycle.startedAt !== null)
    yield monitor?.full === true ? 'Postgres answers, but has no free connection' : 'Postgres answers';
  if (databases.size > 0) yield `databases that are not as the spec asks: ${databases.size}`;
  if (pendingRestart.length > 0)
    yield `settings that wait for a restart: ${pendingRestart.map(({ name }) => name).join(', ')}`;
}
