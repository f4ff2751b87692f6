import { type Sql, integer, literal, sql } from '../../core/sql.ts';
import type { DeltaOp } from '../../spec/schema.ts';
import { databaseObject, itemsOf, roleObject } from '../items.ts';
import { operationsDigest, pendingOps } from '../operations.ts';
import type { Phase, Requirement } from '../phase.ts';

const { unit } = itemsOf('record-operation');

/** The units that an operation is carried out with. A failed renaming of a role ends the pass. */
function unitsOf({ action, name }: DeltaOp): Requirement[] {
  if (action === 'delete_role') return [{ phase: 'drop-roles', object: roleObject(name) }];
  if (action === 'rename_role') return [];
  return [{ phase: 'rename-and-delete-databases', object: databaseObject(name) }];
}

/** Records that this spec's delta operations were applied. The same spec is applied again at the next restart, and by
 *  then a deleted database may have been created again, with data. If a database failed, the
 *  other operations are recorded one by one, with their place in the list as the key. */
export const recordOperation: Phase = {
  name: 'record-operation',
  plan(input, observed) {
    const digest = operationsDigest(input);
    if (digest === null || digest === observed.bookkeeping.operationsDone) return [];
    const record = (key: number): Sql[] => [
      sql`create schema if not exists neon_migration`,
      sql`create table if not exists neon_migration.operation_done (key pg_catalog.int4 primary key, digest pg_catalog.text not null)`,
      sql`insert into neon_migration.operation_done (key, digest) values (${integer(key)}, ${literal(digest)}) on conflict (key) do update set digest = excluded.digest`,
    ];
    const ops = input.spec.delta_operations ?? [];
    const pending = new Set(pendingOps(input, observed));
    const alone = ops.flatMap((op, at) => {
      if (ops.length === 1 || !pending.has(op)) return [];
      return [
        unit('batch', 'record', `delta operation ${at + 1}`, record(at + 1), null, { requires: unitsOf(op) }),
      ];
    });
    const requires = ops.flatMap(unitsOf);
    return [...alone, unit('batch', 'record', 'delta operations', record(0), null, { requires })];
  },
};
