import { never } from '../../core/abort.ts';
import { elapsedMs, monotonicMs, within } from '../../core/clock.ts';
import { codeOf, explained } from '../../core/errors.ts';
import { Queue } from '../../core/queue.ts';
import { repeat } from '../../core/retry.ts';
import type { Log } from '../../core/log.ts';
import { noAuth } from '../../http/auth.ts';
import { type RunningServer, startServer } from '../../http/server.ts';
import { collectStatus } from '../status/collect.ts';
import type { Sizer } from '../status/disk.ts';
import type { SleepNow } from '../front/sleep-now.ts';
import type { Report } from '../report.ts';
import { type LocalDir, type LocalState, commandFor } from '../state.ts';
import { act, isAtOnce, readsPlan } from './actions.ts';
import { Hub } from './hub.ts';
import { linkSecret, linkUrl } from './link.ts';
import { Observer } from './observer.ts';
import { pendingPlan } from './plan.ts';
import { type Dashboard, policyOf, routes } from './routes.ts';
import { Sessions } from './sessions.ts';
import type { SleepTimes } from './sleep-times.ts';
import { readTree } from './tree.ts';

export interface DashboardParts {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly report: Report;
  readonly log: Log;
  /** As `up` was told. */
  readonly pgBinDir: string | null;
  readonly sleepNow: SleepNow;
  readonly sleeps: SleepTimes;
}

export interface RunningDashboard {
  /** A new URL, for one browser. */
  link(): string;
  close(): Promise<void>;
}

/** For a few browsers of one person. */
const limits = { connections: 64 };
const beatMs = 15_000;
/** No action depends on sizes, and to count them may take longer than all else. */
const uncounted: Sizer = () => Promise.resolve({ bytes: 0, complete: true });
const closeMs = 1000;

/** Serves the dashboard of this directory on the loopback; null when it is turned off. A port that cannot be bound is said,
 *  and does not keep the compute from running. */
export async function startDashboard(parts: DashboardParts): Promise<RunningDashboard | null> {
  const port = parts.state.ports.dashboard ?? 0;
  if (port === 0) return null;
  try {
    return await serve(parts, port);
  } catch (error) {
    if (codeOf(error) !== 'port') throw error;
    parts.report.event('no-dashboard', { port }, `There is no dashboard: ${explained(error)}`);
    return null;
  }
}

async function serve(parts: DashboardParts, port: number): Promise<RunningDashboard> {
  const { dir, state, report, log, pgBinDir, sleepNow, sleeps } = parts;
  const over = new AbortController();
  const { signal } = over;
  const sessions = new Sessions();
  const inTurn = new Queue(1);
  const hub: Hub = new Hub({
    full: () => observer.full(),
    changed: () => observer.watchedBy(hub.size),
  });
  const observer = new Observer(dir, (name, data) => hub.publish(name, data), sleeps, signal);
  const perform: Dashboard['act'] = async (given) => {
    const { action, target } = given;
    const plan = readsPlan(action) ? await pendingPlan(dir, signal) : null;
    const facts = {
      report: await collectStatus(dir, uncounted),
      sleeps: sleeps.canSleep,
      tree: readTree(dir),
      plan,
    };
    const shown: Report = {
      event: (event, fields, text) => report.event(event, fields, text),
      progress: (what) => hub.publish('progress', { action, target, what }),
    };
    try {
      const startMs = monotonicMs();
      const message = await act(facts, given, { dir, pgBinDir, sleepNow, report: shown, log, signal });
      return { message, ms: elapsedMs(startMs) };
    } finally {
      observer.touch();
    }
  };
  const server: RunningServer = await startServer<Dashboard>({
    program: 'compute-local',
    name: 'dashboard',
    host: '127.0.0.1',
    port,
    log,
    signal,
    limits,
    localOnly: true,
    auth: noAuth,
    routes,
    headers,
    app: {
      sessions,
      hub,
      linkSecret: linkSecret(state),
      page: async () => (await import('./page-text.ts')).page,
      port: () => server.port,
      act: (given) => (isAtOnce(given.action) ? perform(given) : inTurn.add(() => perform(given), signal)),
      sleep: (limited) => sleepNow.ask(limited),
    },
  });
  const beats = repeat(() => {
    hub.beat();
    return Promise.resolve(beatMs);
  }, signal);
  return {
    link: () => linkUrl(server.port, sessions.link()),
    async close() {
      hub.end({ why: 'compute-local up has ended', how: commandFor(dir, 'up') });
      await server.close(closeMs);
      over.abort();
      // A look that is under way has limits of its own, and changes nothing.
      await within(Promise.all([observer.ended(), beats]), closeMs, never);
    },
  };
}

const headers = {
  'content-security-policy': policyOf(),
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
