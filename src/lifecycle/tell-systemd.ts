import { never } from '../core/abort.ts';
import { monotonicMs, sleep } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { StatusChange } from '../core/lifecycle.ts';
import type { Log } from '../core/log.ts';
import { type Notification, systemdNotify } from '../process/systemd-notify.ts';
import type { ComputeState } from './state.ts';
import { type Told, isReloading, reloading, toldOf } from './systemd-words.ts';

export interface SystemdDeps {
  readonly state: ComputeState;
  readonly log: Log;
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of systemd. */
  readonly env: NodeJS.ProcessEnv;
}

/** How soon a step of the start, and later a change that is not one of the status, is seen. */
const startingMs = 1000;
const readyMs = 5000;
/** A start may take as long as its base backup: while it goes on, systemd is asked for this much more time. Each of its steps
 *  has its own limit. */
const extendMs = 60_000;
/** The checks of the monitor have limits of a few seconds. Beyond this one they do not run any more. */
const stalledMs = 30_000;

/** Tells systemd about the compute until `end` is called: READY, RELOADING, STOPPING, STATUS and WATCHDOG of sd_notify(3).
 *  Does nothing without NOTIFY_SOCKET. Trouble with it is logged, and changes nothing else.
 *  @returns `end` resolves once systemd knows the last state */
export function tellSystemd({ state, log, env }: SystemdDeps): { readonly end: () => Promise<void> } {
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return { end: () => Promise.resolve() };
  const due = new Due(watchdogMs(env));
  let wake = new AbortController();
  let over = false;
  let trouble: string | null = null;
  let alive = true;
  const onStatus = ({ to }: StatusChange): void => {
    if (isReloading(to)) due.reloads();
    wake.abort();
  };
  state.lifecycle.changed.on('status', onStatus);

  const tell = async (notification: Notification): Promise<void> => {
    try {
      await systemdNotify(notification, env, never);
      trouble = null;
    } catch (error) {
      const text = explained(error);
      if (text !== trouble) log.warn(`could not tell systemd the state of the compute: ${text}`);
      trouble = text;
      if (error instanceof ComputeError && error.code === 'program_missing') over = true;
    }
  };
  const run = async (): Promise<void> => {
    while (!over) {
      wake = new AbortController();
      const told = toldOf(state);
      alive = judge(state, alive, log);
      const next = due.next(told, alive);
      if (Object.keys(next).length > 0) await tell(next);
      // What has changed while it was told has aborted `wake`.
      await sleep(due.pauseMs(told), wake.signal).catch(() => {});
    }
  };
  const running = run();
  return {
    end: async () => {
      over = true;
      wake.abort();
      await running;
      state.lifecycle.changed.off('status', onStatus);
      const last = due.next(toldOf(state), true);
      if (trouble === null && Object.keys(last).length > 0) await tell(last);
    },
  };
}

/** What has to be told when. */
class Due {
  readonly #watchdogMs: number | null;
  #told: Told | null = null;
  #reloads = false;
  #watchedMs = -Infinity;
  #extendedMs = -Infinity;

  constructor(watchdogMs: number | null) {
    this.#watchdogMs = watchdogMs;
  }

  /** A configuration is applied, maybe so quickly that nobody sees it: with `Type=notify-reload` systemd waits to hear of it. */
  reloads(): void {
    this.#reloads = true;
  }

  next(now: Told, alive: boolean): Notification {
    const told = this.#reloads && now.phase === 'ready' && this.#told?.phase === 'ready' ? reloading : now;
    if (told.phase === 'reloading') this.#reloads = false;
    const nowMs = monotonicMs();
    const next: Record<string, string> = {};
    if (told.phase !== this.#told?.phase) Object.assign(next, variablesOf[told.phase]());
    if (told.words !== this.#told?.words) next['STATUS'] = told.words;
    if (told.phase === 'starting' && nowMs >= this.#extendedMs + extendMs / 2) {
      next['EXTEND_TIMEOUT_USEC'] = String(extendMs * 1000);
      this.#extendedMs = nowMs;
    }
    if (this.#watchdogMs !== null && alive && nowMs >= this.#watchedMs + this.#watchdogMs / 3) {
      next['WATCHDOG'] = '1';
      this.#watchedMs = nowMs;
    }
    this.#told = told;
    return next;
  }

  pauseMs({ phase }: Told): number {
    if (phase !== this.#told?.phase) return 0;
    return Math.min(phase === 'starting' ? startingMs : readyMs, (this.#watchdogMs ?? Infinity) / 3);
  }
}

const variablesOf: Record<Told['phase'], () => Notification> = {
  starting: () => ({}),
  ready: () => ({ READY: '1' }),
  reloading: () => ({ RELOADING: '1', MONOTONIC_USEC: String(process.hrtime.bigint() / 1000n) }),
  stopping: () => ({ STOPPING: '1' }),
};

/** Whether the compute lives: this runs, so the event loop does; the monitor must, too. A Postgres that does not answer is not
 *  a reason to end compute_ctl. */
function judge({ monitor }: ComputeState, before: boolean, log: Log): boolean {
  const stalled = monitor?.stalledMs ?? 0;
  const alive = stalled <= stalledMs;
  if (before && !alive) {
    const seconds = Math.round(stalled / 1000);
    log.error(
      `the monitor has not finished a check for ${seconds} s, so systemd's watchdog is no longer answered`,
    );
  }
  return alive;
}

/** Milliseconds; null: systemd does not watch this process. */
function watchdogMs(env: NodeJS.ProcessEnv): number | null {
  const usec = Number(env['WATCHDOG_USEC']);
  const pid = env['WATCHDOG_PID'];
  const ours = pid === undefined || pid === String(process.pid);
  return ours && Number.isSafeInteger(usec) && usec > 0 ? usec / 1000 : null;
}
