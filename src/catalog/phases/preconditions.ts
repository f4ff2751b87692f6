import { type Sql, body, literal, sql } from '../../core/sql.ts';
import type { CatalogInput } from '../input.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { Observed } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { pinnedSettings } from '../../pg/session-settings.ts';

const searchPath = pinnedSettings.find(({ name }) => name === 'search_path')?.value;

const { obstacle, unit } = itemsOf('preconditions');

/** Checks the conditions that all later phases require. */
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
      if (!schema.trusted && isSystemDatabaseNew(input, observed)) {
        const away = sql`do ${body(moveAway(schema.name))}`;
        items.push(unit('batch', 'move away', `schema ${JSON.stringify(schema.name)}`, [away]));
      } else if (!schema.trusted) {
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
  foresee(input, observed) {
    if (!isSystemDatabaseNew(input, observed)) return observed;
    const schemas = new Map([...observed.schemas].filter(([, { trusted }]) => trusted));
    return { ...observed, schemas };
  },
};

/** Not the one of initdb: a user who owned that has dropped it, and has put something of his own in its place. */
const isSystemDatabaseNew = (input: CatalogInput, observed: Observed): boolean =>
  observed.databases.get(input.systemDatabase)?.builtIn === false;

/** To a name that nobody can have taken before. */
const moveAway = (schema: string): Sql => sql`
begin
  execute pg_catalog.format('alter schema %I rename to %I', ${literal(schema)}::pg_catalog.text,
    pg_catalog.concat(${literal(schema)}, ' ', pg_catalog.gen_random_uuid()));
end
`;

const renamedTo = (
  ops: readonly { action: string; new_name: string | null }[] | null,
  name: string,
): boolean => (ops ?? []).some((op) => op.action === 'rename_role' && op.new_name === name);
