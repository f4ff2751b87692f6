import { ComputeError } from '../../core/errors.ts';
import { until } from '../../core/poll.ts';
import { readPostmasterPid } from '../../postgres/postmaster-pid.ts';
import { readStat } from '../../process/proc.ts';
import { type UpContext, computeChild } from '../children.ts';
import { computeStatus, untilRunning } from '../compute-api.ts';
import { NextStart } from '../next/keeper.ts';
import { isReady } from '../storage/compute-link.ts';
import type { Kept } from '../supervisor.ts';
import type { Encryption } from './encryption.ts';
import { Front } from './front.ts';
import { holdPorts, takenPort } from './hold-ports.ts';
import { ignoring } from './ignored.ts';
import { observe } from './observe.ts';
import { lookLast } from './last-look.ts';
import { Leases } from './leases.ts';
import { Noted } from './noted.ts';
import type { SleepNow } from './sleep-now.ts';
import { Sleeper } from './sleeper.ts';
import { unloggedIn } from './unlogged.ts';

/** As given on the command line. */
export interface SleepOptions {
  /** Seconds without use until the compute is stopped; 0 for never. */
  readonly suspendAfter: number;
  /** Seconds until idle sessions with state are ended; 0 for never. */
  readonly suspendHardAfter: number;
  readonly suspendIgnore: string;
  /** Bytes of the largest database whose next start is prepared meanwhile; 0: none; null: any. */
  readonly prepareAtMost: number | null;
}

export interface Around {
  readonly onReady: () => void;
  readonly now: SleepNow;
  /** Of the connections of clients; null: none. */
  readonly encryption: Encryption | null;
}

/** A wake is short, and its clients wait for every millisecond of it. */
const readyPollMs = 3;
const startMs = 600_000;
/** After a spec that could not be applied, Postgres goes on. */
const settled: ReadonlySet<string> = new Set(['running', 'failed']);

/** Runs the compute behind a front, which stops it when nobody uses it and starts it when somebody does.
 *  @throws what the first start failed with; ComputeError `port` */
export async function runWithSleep(
  context: UpContext,
  { suspendAfter, suspendHardAfter, suspendIgnore, prepareAtMost }: SleepOptions,
  { onReady, now, encryption }: Around,
  signal: AbortSignal,
): Promise<void> {
  const { dir, state, report } = context;
  const server = { dir: dir.run, port: state.ports.postgres };
  const front = new Front({
    host: state.listenAll === true ? null : '127.0.0.1',
    port: state.ports.postgres,
    server,
    superuser: 'cloud_admin',
    ignored: ignoring(suspendIgnore),
    encryption,
  });
  const leases = new Leases(front, dir.run);
  const suspendAfterMs = Math.round(suspendAfter * 1000);
  const hardAfterMs = suspendHardAfter === 0 ? Infinity : Math.round(suspendHardAfter * 1000);
  const limits = { suspendAfterMs, hardAfterMs };
  const httpPorts = [state.ports.externalHttp, state.ports.internalHttp];
  const noted = new Noted(dir.sleep, limits, front);
  const next = new NextStart(context, prepareAtMost, (outcome) => noted.prepared(outcome));
  const sleeper = new Sleeper({
    front,
    report,
    limits,
    now,
    compute: (waking, onPostgres) => computeOf(context, waking, { onReady, onPostgres }),
    judge: {
      observe: (limited) => observe(server, limited),
      lookLast: (limited) => lookLast(server, limited),
      commands: () => leases.holders,
      unlogged: () => Promise.resolve(unloggedIn(dir.pgdata)),
      async askCompute(limited) {
        const found = await computeStatus(state, limited);
        if (found === null) throw new ComputeError('conflict', 'compute_ctl does not answer');
        const { status, last_active: active } = found;
        const activeMs = active === null ? null : Math.max(0, Date.now() - Date.parse(active));
        return { activeMs, isSettled: settled.has(status) };
      },
    },
    // As compute_ctl does it.
    holdPorts: (facts) =>
      holdPorts(httpPorts, state.listenAll === true ? ['::'] : ['127.0.0.1', '::1'], facts),
    obstacle: () => takenPort(httpPorts),
    whileAsleep: (asleep) => next.begin(asleep),
    note: (counted, holders) => noted.slept(counted, holders),
  });
  await front.listen();
  try {
    await leases.listen();
    await next.ahead(signal);
    await sleeper.run(signal);
  } finally {
    await leases.close();
    await front.close();
    await next.settled();
  }
}

interface Told {
  readonly onReady: () => void;
  readonly onPostgres: () => void;
}

/** Clients of a wake are served as soon as Postgres takes connections: the catalog is as the start before has left it, and is only
 *  compared once more. */
function computeOf(context: UpContext, waking: boolean, { onReady, onPostgres }: Told): Kept {
  const compute = computeChild(context, onReady);
  if (!waking) return compute;
  const { dir, state } = context;
  return {
    ...compute,
    async ready({ pid }, signal) {
      const running = untilRunning(state, startMs, signal);
      const taken = until(
        'Postgres to take connections',
        () => isReady({ dir: dir.run, port: state.ports.postgres }) && isStartedBy(pid, dir.pgdata),
        { everyMs: readyPollMs, limitMs: startMs },
        signal,
      );
      await Promise.race([taken.then(onPostgres), running]);
      await running;
    },
  };
}

/** Not one of a start before that was killed: it is about to be ended. */
function isStartedBy(computeCtl: number, pgdata: string): boolean {
  const pid = readPostmasterPid(pgdata)?.pid;
  return pid !== undefined && pid !== null && readStat(pid)?.ppid === computeCtl;
}
