import { databaseObject, itemsOf } from '../items.ts';
import { pendingOps, walkDatabases } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { dropSubscriptionsBlock } from '../subscriptions.ts';

const { unit, skip } = itemsOf('drop-subscriptions-of-deleted');

/** Postgres refuses to drop a database that a subscription uses, so subscriptions are dropped first. */
export const dropSubscriptionsOfDeleted: Phase = {
  name: 'drop-subscriptions-of-deleted',
  plan(input, observed) {
    const { steps } = walkDatabases(pendingOps(input, observed), observed.databases);
    return steps.flatMap(({ op, existing, original, final }): PlanItem[] => {
      if (op.action !== 'delete_db' || existing === null || existing.subscriptions === 0) return [];
      if (!existing.connectable || existing.invalid) {
        return [skip(databaseObject(original), 'it has subscriptions, but accepts no connections', true)];
      }
      return [
        unit(
          'session',
          'drop subscriptions',
          databaseObject(original),
          [dropSubscriptionsBlock(false)],
          original,
          { concerns: final },
        ),
      ];
    });
  },
};
