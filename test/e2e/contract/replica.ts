import { afterEach, describe, expect, test } from 'vitest';
import { type HttpRig, httpRig } from '../../support/http-rig.ts';
import { grantThatIsHeld, walk } from './walk.ts';

let on: HttpRig;
/** What only a replica answers, and what it answers otherwise than a primary. */
export function walkTheReplica(): void {
  describe('on a replica', () => {
    afterEach(() => on.it.stop());

    test('nothing is written, and a promotion that fails may be tried again', async () => {
      const prepare = (it: HttpRig['it']) => ({
        spec: it.spec({ mode: 'Replica' }),
        args: ['--enable-failpoints'],
      });
      on = await httpRig({ prepare });
      const [row] = await on.query<{ lsn: string }>('select pg_last_wal_replay_lsn()::text lsn');
      const promoting = on.posting({ spec: on.it.spec(), wal_flush_lsn: row?.lsn });
      const failing = (actions: string) => on.posting([{ name: 'compute-promotion', actions }]);
      const asReplica = on.posting({ spec: on.it.spec({ mode: 'Replica' }), wal_flush_lsn: row?.lsn });
      const other = on.it.spec({ timeline_id: 'f7ff2504a4cdc90a60f985c58c2001c4' });
      const elsewhere = on.posting({ spec: other, wal_flush_lsn: row?.lsn });
      const denied = /read-only transaction|recovery/;
      await walk(on, [
        ['external', 'POST /check_writability', 500, denied],
        ['internal', 'POST /grants', 500, /app.* does not exist/, on.posting(grantThatIsHeld)],
        ['external', 'GET /dbs_and_roles', 200, /"name":"cloud_admin"/],
        ['external', 'POST /promote', 400, /with the spec of a primary/, asReplica],
        ['external', 'POST /promote', 400, /timeline/, elsewhere],
        ['internal', 'POST /failpoints', 400, /^{"error":"failed to configure failpoints: /, failing('fly')],
        ['internal', 'POST /failpoints', 200, /^$/, failing('return')],
        [
          'external',
          'POST /promote',
          500,
          /^{"status":"failed","error":".*compute-promotion failpoint"}$/,
          promoting,
        ],
      ]);
      expect(await on.query('select pg_is_in_recovery() as still')).toEqual([{ still: true }]);
      const done =
        /^{"status":"completed","lsn_wait_time_ms":\d+,"pg_promote_time_ms":\d+,"reconfigure_time_ms":\d+}$/;
      await walk(on, [
        ['internal', 'POST /failpoints', 200, /^$/, failing('off')],
        ['external', 'POST /promote', 200, done, promoting],
        ['external', 'POST /promote', 200, done, promoting],
        ['external', 'POST /check_writability', 200, /^true$/],
        ['external', 'POST /terminate?mode=immediate', 200, /^{"lsn":"0\/169B1D8"}$/],
      ]);
      expect(await on.program.exited()).toBe(0);
    });

    test('the end has no LSN', async () => {
      on = await httpRig({ prepare: (it) => ({ spec: it.spec({ mode: 'Replica' }) }) });
      await walk(on, [
        ['external', 'POST /terminate', 200, /^{"lsn":null}$/],
        ['external', 'POST /terminate', 201, /^{"lsn":null}$/],
      ]);
      expect(await on.program.exited()).toBe(0);
    });
  });
}
