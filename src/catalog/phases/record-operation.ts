import { literal, sql } from '../../core/sql.ts';
import { itemsOf } from '../items.ts';
import { operationsDigest } from '../operations.ts';
import type { Phase } from '../phase.ts';

const { unit } = itemsOf('record-operation');

/** Records that this spec's delta operations were applied. The same spec is applied again at the next restart, and by
 *  then a deleted database may have been created again, with data. */
export const recordOperation: Phase = {
  name: 'record-operation',
  plan(input, observed) {
    const digest = operationsDigest(input);
    if (digest === null || digest === observed.bookkeeping.operationsDone) return [];
    return [
      unit('batch', 'record', 'delta operations', [
        sql`create schema if not exists neon_migration`,
        sql`create table if not exists neon_migration.operation_done (key pg_catalog.int4 primary key, digest pg_catalog.text not null)`,
        sql`insert into neon_migration.operation_done (key, digest) values (0, ${literal(digest)}) on conflict (key) do update set digest = excluded.digest`,
      ]),
    ];
  },
};
