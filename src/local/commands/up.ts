import { rmSync } from 'node:fs';
import { abortedBy, never } from '../../core/abort.ts';
import { raceAbort } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { endBranches } from '../branches/end.ts';
import { keepOf } from '../branches/keep.ts';
import { keepLifetimes, removeIfOver } from '../branches/lifetime.ts';
import { type UpContext, computeChild, storageChild } from '../children.ts';
import { type SleepOptions, runWithSleep } from '../front/run.ts';
import type { Encryption } from '../front/encryption.ts';
import { openTls } from '../front/open-tls.ts';
import { SleepNow } from '../front/sleep-now.ts';
import { keepRunning } from '../supervisor.ts';
import { endLeftovers } from '../leftovers.ts';
import { lockDir } from '../lock.ts';
import { endedInOrder } from '../next/places.ts';
import { endNodes, setPrimaryNode } from '../nodes.ts';
import { portsOfUp } from '../node-ports.ts';
import { PortHolds } from '../port-holds.ts';
import { type RunningDashboard, startDashboard } from '../dashboard/serve.ts';
import { SleepTimes } from '../dashboard/sleep-times.ts';
import { claimDir, createRoot } from '../claim.ts';
import { type Own, inspectDir } from '../own.ts';
import { prepareDirs } from '../prepare.ts';
import { withReason } from '../reason.ts';
import { removeAll } from '../remove.ts';
import type { HeldTimeline } from '../storage/layout.ts';
import { writePidFile } from '../../process/pid-file.ts';
import { notingPhase } from '../phase.ts';
import type { Report } from '../report.ts';
import { startedWith } from '../started.ts';
import { type LocalDir, type LocalState, connectionUrl, createState, writeState } from '../state.ts';
import { type Stopping, untilStopped } from '../until-stopped.ts';
import { type StorageOptions, limitsOf, toolsFor } from './storage.ts';

export interface UpOptions extends StorageOptions, SleepOptions {
  /** TCP port of Postgres; null: the last one used, or a free one. */
  readonly port: number | null;
  /** Port of the external HTTP server; null: the last one used, or a free one. */
  readonly httpPort: number | null;
  /** Port of the dashboard; 0: none; null: the last one used, or a free one. */
  readonly dashboardPort: number | null;
  /** Postgres and the HTTP API listen on all addresses. */
  readonly listenAll: boolean;
  /** PEM files, as given; null: no TLS. */
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
  /** Choose another port for each one that is in use. */
  readonly newPorts: boolean;
  /** Seconds that the history is kept, and what it may take; null: as before. */
  readonly keep: number | null;
  readonly keepAtMost: number | null;
}

/** Runs the local compute until a signal: storage first, then compute_ctl; stopped in reverse.
 *  @returns the exit code */
export function up(dir: LocalDir, options: UpOptions, given: Report, log: Log): Promise<number> {
  const sleeps = new SleepTimes();
  const report = sleeps.noting(notingPhase(given, dir.upPid));
  return untilStopped(report, 'Stopped. The data stays in the storage.', (stopping) =>
    prepareAndRun(dir, options, { report, log, sleeps, ...stopping }),
  );
}

interface Running extends Stopping {
  readonly report: Report;
  readonly log: Log;
  readonly sleeps: SleepTimes;
}

async function prepareAndRun(dir: LocalDir, options: UpOptions, running: Running): Promise<void> {
  const { report, log, sleeps, stop, escalate } = running;
  const diskLimits = limitsOf(options);
  // Before anything is created.
  const encryption = await openTls(startedWith(options), report);
  const before = inspectDir(dir);
  const held = before.kind === 'new' || before.resetting !== null ? null : (before.state ?? before.lost);
  const tools = await toolsFor(dir, held, options, stop.signal);
  createRoot(dir);
  const lock = await lockDir(dir);
  let state: LocalState | null = null;
  const holds = new PortHolds();
  try {
    const { state: known, lost } = await takeOver(dir, running);
    prepareDirs(dir);
    const keepsNext = options.suspendAfter > 0 && options.prepareAtMost !== 0 && endedInOrder(dir);
    writePidFile(dir.upPid, process.pid);
    // Their storage has ended; from now on the compute that is started here is its primary.
    await endNodes(dir, report, stop.signal);
    setPrimaryNode(dir, null);
    const ended = await endLeftovers(dir, known ?? lost, log, stop.signal, keepsNext);
    if (ended.length > 0)
      report.event(
        'leftovers',
        { ended: ended.join(', ') },
        `Stopped ${ended.join(' and ')} of an earlier run.`,
      );
    state = await stateFor(dir, known, options, lost, holds);
    const { postgres } = tools;
    report.event(
      'starting',
      { dir: dir.root, postgres: postgres.version, bin_dir: postgres.dir },
      `PostgreSQL ${postgres.version} from ${postgres.dir}; all data is in ${dir.root}`,
    );
    if (encryption !== null)
      report.event('tls', { certificate: encryption.described }, `TLS with the ${encryption.described}`);
    const { compactAtBytes } = options;
    const context = { dir, state, tools, compactAtBytes, diskLimits, report, escalate };
    const lifetimes = keepLifetimes(dir, state, { stop: () => stop.abort(), log }, stop.signal);
    const sleepNow = new SleepNow();
    sleeps.canSleep = state.front === true;
    const { pgBinDir } = options;
    const dashboard = await startDashboard({ dir, state, report, log, pgBinDir, sleepNow, sleeps });
    try {
      await runChildren(context, { sleep: options, sleepNow, dashboard, encryption }, stop);
    } finally {
      stop.abort();
      await dashboard?.close();
    }
    await lifetimes;
  } finally {
    for (const file of [dir.upPid, dir.storagePid, dir.computePid, dir.sleep]) rmSync(file, { force: true });
    await holds.release();
    await lock.release();
    if (state !== null) await removeIfOver(dir, state, log);
  }
}

/** Makes the directory ours, and completes a reset that was killed. The caller holds the lock. */
async function takeOver(dir: LocalDir, { report, log, stop }: Running): Promise<Own> {
  const own = claimDir(dir);
  if (own.lost !== null)
    report.event(
      'repaired',
      { tenant: own.lost.tenantId, timeline: own.lost.timelineId },
      `${dir.state} is missing: creating another for tenant ${own.lost.tenantId}, timeline ${own.lost.timelineId} in the storage. Password and ports are new.`,
    );
  if (own.resetting === null) return own;
  await endLeftovers(dir, own.resetting, log, stop.signal);
  await endBranches(dir, report, log, stop.signal);
  const kept = await removeAll(dir, own);
  report.event(
    'reset',
    { removed: true, kept: kept.length },
    `Completed the interrupted reset of ${dir.root}.`,
  );
  return claimDir(dir);
}

interface Beside {
  readonly sleep: SleepOptions;
  readonly sleepNow: SleepNow;
  readonly dashboard: RunningDashboard | null;
  readonly encryption: Encryption | null;
}

/** The compute requires the storage until its end, so the storage is stopped only when the compute has ended. */
async function runChildren(context: UpContext, beside: Beside, stop: AbortController): Promise<void> {
  const stopStorage = new AbortController();
  const giveUp = (error: unknown): never => {
    stop.abort();
    throw error;
  };
  let storageReady = (): void => {};
  const ready = new Promise<void>((resolve) => (storageReady = resolve));
  const storage = keepRunning(storageChild(context, storageReady), stopStorage.signal).catch(giveUp);
  const compute = raceAbort(ready, stop.signal)
    .then(() => context.report.progress('Starting Postgres ...', ''))
    .then(() => runCompute(context, beside, stop.signal))
    .catch((error: unknown) => {
      if (!abortedBy(error, stop.signal)) giveUp(withReason(context.dir, error));
    });
  try {
    await compute;
  } finally {
    await endNodes(context.dir, context.report, never);
    stopStorage.abort();
    // When both failed, the storage failed first.
    await storage;
  }
}

function runCompute(
  context: UpContext,
  { sleep, sleepNow, dashboard, encryption }: Beside,
  signal: AbortSignal,
): Promise<void> {
  const onReady = (): void => announce(context, dashboard);
  if (context.state.front === true)
    return runWithSleep(context, sleep, { onReady, now: sleepNow, encryption }, signal);
  return keepRunning(computeChild(context, onReady), signal);
}

function announce({ state, dir, report }: UpContext, dashboard: RunningDashboard | null): void {
  const url = connectionUrl(state);
  const http = `http://127.0.0.1:${state.ports.externalHttp}`;
  const link = dashboard?.link() ?? null;
  const lines = [
    '',
    `  Postgres  ${url}`,
    `  HTTP API  ${http}  (without a token: /metrics /livez /readyz /startupz; all others require the token of: compute-local token)`,
    `  Internal  http://127.0.0.1:${state.ports.internalHttp}`,
    ...(link === null ? [] : [`  Dashboard ${link}`]),
    `  Logs      ${dir.log}`,
    '',
    'Ready. Ctrl-C stops everything.',
  ];
  report.event(
    'ready',
    {
      url,
      http,
      internal_http: `http://127.0.0.1:${state.ports.internalHttp}`,
      dashboard: link,
      pid: process.pid,
    },
    lines.join('\n'),
  );
}

/** Ports and secrets of earlier runs are kept, so that the URL stays the same. */
async function stateFor(
  dir: LocalDir,
  known: LocalState | null,
  options: UpOptions,
  lost: HeldTimeline | null,
  holds: PortHolds,
): Promise<LocalState> {
  const { listenAll } = options;
  const front = options.suspendAfter > 0;
  const started = startedWith(options);
  const ports = await portsOfUp(dir, known?.ports ?? null, options, holds);
  const keep = keepOf(known?.keep ?? null, options);
  if (known === null) return createState(dir, ports, { listenAll, front }, lost, { keep, started });
  const state = { ...known, listenAll, front, started, keep, ports };
  if (JSON.stringify(state) !== JSON.stringify(known)) writeState(dir, state);
  return state;
}
