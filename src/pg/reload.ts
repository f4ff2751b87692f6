import { until } from '../core/poll.ts';
import { type PgClient, destroyPg, withPg } from './client.ts';
import { whenFree } from './full.ts';
import { ownSession } from './session-settings.ts';
import type { PgTarget } from './target.ts';

/** Milliseconds until a reload must have taken effect. */
const reloadMs = 10_000;
const connectMs = 10_000;
/** Milliseconds of waiting for a free connection. */
const fullMs = 30_000;
const queryMs = 12_000;
const everyMs = 3;

/** One reload, with its own connection.
 *  @param before runs on the same session, ahead of the reload; when it throws, there is none
 *  @throws as `reloadOn`; what `before` threw; ComputeError `sql` when the server cannot be reached */
export function reloadAndWait(
  target: PgTarget,
  ask: () => void,
  signal: AbortSignal,
  before: (pg: PgClient) => Promise<void> = async () => {},
): Promise<void> {
  const options = { applicationName: 'compute_ctl:reload', connectMs, queryMs, signal };
  const reload = (): Promise<void> =>
    withPg(ownSession(target), options, async (pg) => {
      await before(pg);
      await reloadOn(pg, ask, signal);
    });
  return whenFree(reload, fullMs, signal);
}

/** Makes a server read its configuration files again, and waits until the session `pg` sees the new load time.
 *  @param ask sends SIGHUP
 *  @throws ComputeError `deadline`; the driver's error; the reason of `signal`, then the connection is closed
 *  @see https://www.postgresql.org/docs/current/functions-info.html pg_conf_load_time */
export async function reloadOn(pg: PgClient, ask: () => void, signal: AbortSignal): Promise<void> {
  const cut = (): void => destroyPg(pg);
  signal.addEventListener('abort', cut, { once: true });
  try {
    const before = await loadedAt(pg);
    ask();
    const times = { everyMs, limitMs: reloadMs };
    await until(
      "the reload of Postgres's settings",
      async () => (await loadedAt(pg)) !== before,
      times,
      signal,
    );
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
