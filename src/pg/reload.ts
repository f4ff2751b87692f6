import { monotonicMs, sleep } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type PgClient, connectPg, destroyPg, leavePg } from './client.ts';
import type { PgTarget } from './target.ts';

/** Milliseconds for each reload to be in force. */
const reloadMs = 10_000;
const connectMs = 10_000;
const queryMs = 12_000;
const shortestPauseMs = 2;
const longestPauseMs = 100;

/** Makes a server read its configuration files again, and knows when it has. */
export interface Reloads {
  /** Calls `ask`, which sends SIGHUP, and resolves once a session sees the new settings.
   *  @throws ComputeError `deadline`, `sql`; the reason of `signal` */
  reload(ask: () => void, signal: AbortSignal): Promise<void>;
  /** Gives the connection back. */
  close(): void;
}

/** Connects to the server whose reloads are to be waited for.
 *  @see https://www.postgresql.org/docs/current/functions-info.html pg_conf_load_time */
export async function openReloads(target: PgTarget, signal: AbortSignal): Promise<Reloads> {
  const options = { applicationName: 'compute_ctl:reload', connectMs, queryMs, signal };
  const pg = await connectPg({ ...target, options: `${target.options} -c search_path=` }, options);
  return {
    reload: (ask, signal) => reload(pg, ask, signal),
    close: () => leavePg(pg),
  };
}

/** One reload, with a connection of its own. @throws as `Reloads.reload` */
export async function reloadAndWait(target: PgTarget, ask: () => void, signal: AbortSignal): Promise<void> {
  const reloads = await openReloads(target, signal);
  try {
    await reloads.reload(ask, signal);
  } finally {
    reloads.close();
  }
}

async function reload(pg: PgClient, ask: () => void, signal: AbortSignal): Promise<void> {
  const cut = (): void => destroyPg(pg);
  signal.addEventListener('abort', cut, { once: true });
  try {
    const before = await loadedAt(pg);
    ask();
    const endMs = monotonicMs() + reloadMs;
    for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      await sleep(pauseMs, signal);
      if ((await loadedAt(pg)) !== before) return;
      if (monotonicMs() > endMs)
        throw new ComputeError('deadline', `Postgres did not take its new settings within ${reloadMs} ms`);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

async function loadedAt(pg: PgClient): Promise<string> {
  const { rows } = await pg.query<{ at: string }>(
    'select pg_catalog.pg_conf_load_time()::pg_catalog.text as at',
  );
  return rows[0]?.at ?? '';
}
