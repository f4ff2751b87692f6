import { Readable } from 'node:stream';
import { parse } from 'valibot';
import type { Log } from '../../../src/core/log.ts';
import { type Status, isTerminating } from '../../../src/core/status.ts';
import type { DatabaseApi } from '../../../src/database/api.ts';
import type { ComputeApi } from '../../../src/lifecycle/api.ts';
import { SpecAcceptance } from '../../../src/lifecycle/accept-spec.ts';
import { Compute } from '../../../src/lifecycle/compute.ts';
import { ComputeState } from '../../../src/lifecycle/state.ts';
import { noDowntime } from '../../../src/monitor/report.ts';
import { idleFileCache } from '../../support/file-cache.ts';
import { type ResolvedSpec, resolveSpec } from '../../../src/spec/resolve.ts';
import { computeSpecSchema } from '../../../src/spec/schema.ts';

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** A compute without a Postgres. What it says of its status, and what it makes of a new spec, a promotion and a
 *  request to stop, comes from the real `Compute`; what would need a Postgres does nothing, until a test replaces it. */
export interface TestCompute extends Changeable<ComputeApi> {
  database: Changeable<DatabaseApi>;
  /** What the compute knows of itself. */
  readonly state: ComputeState;
  /** Brings a spec into force. */
  reconfigure: (spec: ResolvedSpec) => Promise<void>;
}

const waysTo: Partial<Record<Status, readonly Status[]>> = {
  init: ['init'],
  running: ['init', 'running'],
  configuration_pending: ['configuration_pending'],
  configuration: ['configuration_pending', 'configuration'],
  failed: ['init', 'failed'],
  refresh_configuration_pending: ['init', 'running', 'refresh_configuration_pending'],
  refresh_configuration: ['init', 'running', 'refresh_configuration_pending', 'refresh_configuration'],
  termination_pending_fast: ['termination_pending_fast'],
  termination_pending_immediate: ['termination_pending_immediate'],
  terminated: ['termination_pending_fast', 'terminated'],
};

const withPostgres: readonly Status[] = ['running', 'refresh_configuration_pending', 'refresh_configuration'];

/** A spec of the compute under test, as JSON. */
export const testSpec = (changes: object = {}) => ({
  format_version: 1,
  suspend_timeout_seconds: 0,
  tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
  timeline_id: '641e5342083b2235ee3deb8066819683',
  pageserver_connstring: 'postgresql://no_user@127.0.0.1:1',
  safekeeper_connstrings: ['127.0.0.1:2'],
  cluster: { roles: [], databases: [], settings: [] },
  ...changes,
});

/** The body of `POST /configure` with this spec. */
export const configureBody = (changes: object = {}): string =>
  JSON.stringify({ spec: testSpec(changes), compute_ctl_config: { jwks: { keys: [] } } });

/** Answers as a server would that has nothing in it. */
const emptyDatabase = (): Changeable<DatabaseApi> => ({
  insights: () => Promise.resolve('{"pg_stat_statements": []}'),
  dbsAndRoles: () => Promise.resolve({ roles: [], databases: [] }),
  schema: () => Promise.resolve(Readable.from(['-- nothing\n'])),
  grant: () => Promise.resolve(),
  installExtension: () => Promise.resolve(),
  mustAcceptConnections: () => Promise.resolve(),
  autoscalingMetrics: () =>
    Promise.resolve({ status: 200, contentType: 'application/text', body: Readable.from(['m 1\n']) }),
});

/** The state of a compute that has got to a status. It ends as soon as it is asked to. */
function stateAt(at: Status): ComputeState {
  const state = new ComputeState(at === 'empty' ? null : resolveSpec(parse(computeSpecSchema, testSpec())));
  for (const status of waysTo[at] ?? []) state.lifecycle.tryMove(status);
  if (withPostgres.includes(at)) state.postgres = { running: true } as ComputeState['postgres'];
  state.figures.total_startup_ms = 8;
  state.flushLsn = '0/28F10D8';
  state.lifecycle.changed.on('status', ({ to }) => {
    if (isTerminating(to)) queueMicrotask(() => state.lifecycle.tryMove('terminated'));
  });
  return state;
}

const unused = (): Promise<never> => Promise.reject(new Error('no test gets here'));

export function testCompute(at: Status, log: Log): TestCompute {
  const state = stateAt(at);
  const database = emptyDatabase();
  const compute = new Compute({
    state,
    log,
    liveConfigAllowed: true,
    specs: new SpecAcceptance({ state, validate: () => {}, rotateKeys: () => Promise.resolve() }),
    operations: {
      reconfigure: () => (state.spec === null ? unused() : it.reconfigure(state.spec)),
      promote: unused,
    },
    load: unused,
    database,
    lfc: idleFileCache(),
    extensions: { canDownload: false, bring: async () => 0 },
    checkWritability: unused,
  });
  const it: TestCompute = {
    state,
    reconfigure: () => Promise.resolve(),
    lifecycle: compute.lifecycle,
    get readiness() {
      return compute.readiness;
    },
    get startup() {
      return compute.startup;
    },
    get full() {
      return compute.full;
    },
    get writesStopped() {
      return compute.writesStopped;
    },
    status: () => compute.status(),
    figures: () => compute.figures(),
    configure: (body, signal) => compute.configure(body, signal),
    promote: (spec, lsn, signal) => compute.promote(spec, lsn, signal),
    terminate: (mode, signal) => compute.terminate(mode, signal),
    database,
    lfc: idleFileCache(),
    downtime: () => noDowntime,
    checkWritability: () => Promise.resolve(true),
    refresh: () => {},
    installExtension: (wanted, signal) => compute.installExtension(wanted, signal),
    downloadExtension: () => Promise.resolve(),
  };
  return it;
}
