import { ComputeError } from '../core/errors.ts';
import type { PgClient } from '../pg/client.ts';

/** Makes sure that no event trigger runs with our rights when this transaction changes objects. Most are switched off by
 *  the settings of our sessions; before 17 that leaves those that are enabled as ALWAYS or REPLICA, and their list is
 *  locked until the transaction ends.
 *  @throws ComputeError `sql` that names one; the driver's error when the list is locked */
export async function keepEventTriggersOut(pg: PgClient): Promise<void> {
  const { rows } = await pg.query<{ setting: string | null }>(
    `select pg_catalog.current_setting('event_triggers', true) as setting`,
  );
  if (rows[0]?.setting === 'off') return;
  await pg.query('lock table pg_catalog.pg_event_trigger in share row exclusive mode');
  const { rows: always } = await pg.query<{ name: string }>(
    `select evtname as name from pg_catalog.pg_event_trigger where evtenabled in ('A', 'R') order by evtname limit 1`,
  );
  const [found] = always;
  if (found === undefined) return;
  throw new ComputeError(
    'sql',
    `the event trigger "${found.name}" would run with the rights of compute_ctl`,
    {
      hint: `disable it, or enable it for user sessions only: ALTER EVENT TRIGGER … ENABLE`,
    },
  );
}
