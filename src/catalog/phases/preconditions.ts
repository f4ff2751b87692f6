import { itemsOf, roleObject } from '../items.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { pinnedSettings } from '../../pg/session-settings.ts';

const searchPath = pinnedSettings.find(({ name }) => name === 'search_path')?.value;

const { obstacle } = itemsOf('preconditions');

/** Sends no statement: checks the conditions that all later phases require. */
export const preconditions: Phase = {
  name: 'preconditions',
  plan(input, observed) {
    const items: PlanItem[] = [];
    if (!observed.superuser) items.push(obstacle(roleObject(input.adminRole), 'is not a superuser'));
    if (observed.version < 140_000) {
      items.push(obstacle('server', `is version ${observed.version}, older than PostgreSQL 14`));
    }
    if (observed.searchPath !== searchPath) {
      items.push(
        obstacle('setting search_path', `is not ${searchPath}, so that names could mean objects of a user`),
      );
    }
    for (const schema of observed.schemas.values()) {
      if (!schema.trusted) {
        const object = `schema ${JSON.stringify(schema.name)}`;
        items.push(
          obstacle(
            object,
            `it, or a bookkeeping table in it, belongs to ${roleObject(schema.owner)} or another role that is not a superuser`,
          ),
        );
      }
    }
    const dropped = droppedRoles(input, observed);
    for (const database of input.spec.cluster.databases) {
      const owner = database.owner;
      if (dropped.has(owner)) continue;
      const known =
        observed.roles.has(owner) ||
        owner === input.privilegedRole ||
        renamedTo(input.spec.delta_operations, owner);
      const planned = input.spec.cluster.roles.some((role) => role.name === owner);
      if (!known && !planned) {
        items.push(
          obstacle(
            `database ${JSON.stringify(database.name)}`,
            `its owner, ${roleObject(owner)}, does not exist`,
          ),
        );
      }
    }
    return items;
  },
};

const renamedTo = (
  ops: readonly { action: string; new_name: string | null }[] | null,
  name: string,
): boolean => (ops ?? []).some((op) => op.action === 'rename_role' && op.new_name === name);
