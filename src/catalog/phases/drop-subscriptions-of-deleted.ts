import { databaseObject, itemsOf } from '../items.ts';
import { pendingOps, walkDatabases } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { dropSubscriptionsBlock } from '../subscriptions.ts';

const { unit } = itemsOf('drop-subscriptions-of-deleted');

/** Postgres refuses to drop a database that a subscription uses, so subscriptions are dropped first. */
export const dropSubscriptionsOfDeleted: Phase = {
  name: 'drop-subscriptions-of-deleted',
  plan(input, observed) {
    const { steps } = walkDatabases(pendingOps(input, observed), observed.databases);
    return steps.flatMap(({ op, existing, original, final }): PlanItem[] => {
      if (op.action !== 'delete_db' || existing === null || existing.subscriptions === 0) return [];
      // The subscriptions of one that accepts no connections are dropped with it.
      if (!existing.connectable || existing.invalid) return [];
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
