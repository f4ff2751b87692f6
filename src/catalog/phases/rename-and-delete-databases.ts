import { ident, sql } from '../../core/sql.ts';
import { databaseObject, itemsOf } from '../items.ts';
import { type DatabaseStep, pendingOps, walkDatabases } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip, obstacle } = itemsOf('rename-and-delete-databases');

/** Applies the delta operations on databases, in the spec's order. */
export const renameAndDeleteDatabases: Phase = {
  name: 'rename-and-delete-databases',
  plan(input, observed) {
    const { steps } = walkDatabases(pendingOps(input, observed), observed.databases);
    const listed = new Set(input.spec.cluster.databases.map(({ name }) => name));
    return steps.flatMap((step) => [
      ...(step.op.action === 'delete_db' && step.existing !== null && listed.has(step.op.name)
        ? [
            skip(
              databaseObject(step.op.name),
              'a delta operation deletes it and the spec lists it: it will be created again, empty',
              true,
            ),
          ]
        : []),
      itemFor(step),
    ]);
  },
  foresee(input, observed) {
    const { after, originals } = walkDatabases(pendingOps(input, observed), observed.databases);
    const renamed = new Map([...originals].map(([now, original]) => [original, now]));
    const references = [...observed.references].map(([role, places]): [string, (string | null)[]] => [
      role,
      places.flatMap((place) => (place === null ? [null] : (renamed.get(place) ?? []))),
    ]);
    const subscribers = [...observed.subscribers].map(([role, places]): [string, string[]] => [
      role,
      places.flatMap((place) => renamed.get(place) ?? []),
    ]);
    return {
      ...observed,
      databases: after,
      references: new Map(references),
      subscribers: new Map(subscribers),
    };
  },
};

function itemFor({ op, existing, target, final, taken }: DatabaseStep): PlanItem {
  const name = ident(op.name);
  const object = databaseObject(op.name);
  if (existing === null)
    return skip(object, `there is no such database to ${target === null ? 'delete' : 'rename'}`);
  if (target === null) {
    const drop = sql`drop database if exists ${name} with (force)`;
    return unit(
      'bare',
      'drop',
      object,
      existing.template ? [sql`alter database ${name} is_template false`, drop] : [drop],
      null,
      { concerns: final, alone: { database: op.name, purpose: 'delete' } },
    );
  }
  if (taken) return obstacle(object, `${databaseObject(target)} exists already`);
  const rename = sql`alter database ${name} rename to ${ident(target)}`;
  return unit('bare', `rename to ${JSON.stringify(target)}`, object, [rename], null, {
    concerns: final,
    alone: { database: op.name, purpose: 'rename' },
  });
}
