import { ident, sql } from '../../core/sql.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import type { Observed } from '../observed.ts';
import { pendingOps } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip, obstacle } = itemsOf('rename-roles');

/** Renames roles if the old name exists. An md5 password depends on the name, so the rename removes it; a later phase
 *  sets it again. */
export const renameRoles: Phase = {
  name: 'rename-roles',
  plan: (input, observed) => walk(input, observed).items,
  foresee: (input, observed) => walk(input, observed).after,
};

function walk(input: CatalogInput, observed: Observed): { items: PlanItem[]; after: Observed } {
  const items: PlanItem[] = [];
  let after = observed;
  for (const { action, name, new_name: target } of pendingOps(input, observed)) {
    if (action !== 'rename_role' || target === null) continue;
    if (!after.roles.has(name)) items.push(skip(roleObject(name), 'there is no such role to rename'));
    else if (after.roles.has(target))
      items.push(obstacle(roleObject(name), `${roleObject(target)} exists already`));
    else {
      items.push(
        unit('batch', `rename to ${JSON.stringify(target)}`, roleObject(name), [
          sql`alter role ${ident(name)} rename to ${ident(target)}`,
        ]),
      );
      after = renamed(after, name, target);
    }
  }
  return { items, after };
}

function renamed(observed: Observed, from: string, to: string): Observed {
  const role = observed.roles.get(from);
  if (role === undefined) return observed;
  const roles = new Map(observed.roles);
  roles.delete(from);
  const md5 = role.password?.reveal().startsWith('md5') === true;
  roles.set(to, { ...role, password: md5 ? null : role.password });
  const databases = new Map(
    [...observed.databases].map(([name, database]) => [
      name,
      database.owner === from ? { ...database, owner: to } : database,
    ]),
  );
  const references = new Map(observed.references);
  references.delete(from);
  references.set(to, observed.references.get(from) ?? []);
  const subscribers = new Map(observed.subscribers);
  subscribers.delete(from);
  subscribers.set(to, observed.subscribers.get(from) ?? []);
  return { ...observed, roles, databases, references, subscribers };
}
