import { never } from '../../src/core/abort.ts';
import { type PgClient, withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { eventually } from './program.ts';

/** Does `work` while commits wait for a standby that is not there. */
export async function withoutStandby(target: PgTarget, work: () => Promise<void>): Promise<void> {
  const session = { applicationName: 'test', connectMs: 10_000, queryMs: 20_000, signal: never };
  const settle = (change: string, waits: boolean): Promise<void> =>
    withPg(target, session, (pg) =>
      withPg(target, session, async (other) => {
        await pg.query(`alter system ${change}`);
        await pg.query('select pg_reload_conf()');
        // The checkpointer must have read it as well, and only a commit shows that.
        const done = async (): Promise<true | undefined> =>
          (await commitWaits(pg, other)) === waits || undefined;
        await eventually(`commits ${waits ? 'wait' : 'do not wait'} for a standby`, done);
      }),
    );
  await settle(`set synchronous_standby_names = 'gone'`, true);
  try {
    await work();
  } finally {
    await settle('reset synchronous_standby_names', false);
  }
}

/** Whether a commit waits; it is given up then. */
async function commitWaits(pg: PgClient, other: PgClient): Promise<boolean> {
  const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
  let isOver = false;
  const commit = pg.query(`select pg_logical_emit_message(true, 'test', '')`).then(() => (isOver = true));
  const end = async (): Promise<'over' | 'waits' | undefined> => {
    if (isOver) return 'over';
    const asked = await other.query(
      `select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'`,
      [rows[0]?.pid],
    );
    return asked.rowCount === 1 ? 'waits' : undefined;
  };
  const how = await eventually('a commit ends or waits', end);
  await commit;
  return how === 'waits';
}
