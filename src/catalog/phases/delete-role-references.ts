import { body, ident, integer, sql } from '../../core/sql.ts';
import { handOver } from '../hand-over/hand-over.ts';
import { reserveSubscriptions } from '../hand-over/reserved.ts';
import { itemsOf, roleObject } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import { type Observed, type ObservedRole, major } from '../observed.ts';
import { droppedRoles } from '../operations.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, skip, obstacle } = itemsOf('delete-role-references');

/** Roles with smaller OIDs are from initdb. */
const firstNormalOid = 16_384;

/** Hands the objects of a role over and revokes its privileges, in every database that `pg_shdepend` lists for it, also
 *  in databases that are not in the spec. One transaction for each role and database: nothing may be dropped after a
 *  hand-over that failed. The system database comes first and includes shared objects. Databases follow one after the
 *  other, because two at the same time would conflict on shared objects. The role may not log in any more and its
 *  sessions end, or there would be something new to hand over.
 *
 *  The new owner is not a superuser: a function with SECURITY DEFINER, a view or an index expression would run a user's
 *  code as superuser. */
export const deleteRoleReferences: Phase = {
  name: 'delete-role-references',
  plan(input, observed) {
    const dropped = new Map(
      [...droppedRoles(input, observed)].flatMap((name): [string, ObservedRole][] => {
        const role = observed.roles.get(name);
        return role === undefined ? [] : [[name, role]];
      }),
    );
    return [
      ...[...dropped].flatMap(([name, { oid }]) =>
        oid < firstNormalOid ? [obstacle(roleObject(name), 'PostgreSQL itself requires it')] : [],
      ),
      ...[...dropped].flatMap(([name, { attributes }]) =>
        attributes.login
          ? [unit('batch', 'forbid log-ins', roleObject(name), [sql`alter role ${ident(name)} nologin`])]
          : [],
      ),
      ...[...dropped].flatMap(([name, role]) => subscriptionsOf(name, role, observed)),
      ...[...dropped].flatMap(([name, role]) => handOvers(name, role, input, observed, dropped)),
    ];
  },
};

/** The databases that have subscriptions which the heir may not own: only there they can be altered. */
const subscribersOf = (name: string, observed: Observed): readonly string[] =>
  major(observed) >= 16
    ? []
    : (observed.subscribers.get(name) ?? []).filter(
        (database) => observed.databases.get(database)?.connectable === true,
      );

function subscriptionsOf(name: string, { oid }: ObservedRole, observed: Observed): PlanItem[] {
  const block = sql`do ${body(reserveSubscriptions(integer(oid)))}`;
  return subscribersOf(name, observed).map((database) =>
    unit('session', 'hand over subscriptions', roleObject(name), [block], database),
  );
}

function handOvers(
  name: string,
  { oid }: ObservedRole,
  input: CatalogInput,
  observed: Observed,
  dropped: ReadonlyMap<string, ObservedRole>,
): PlanItem[] {
  // A hand-over includes all shared objects, subscriptions among them.
  const requires =
    subscribersOf(name, observed).length === 0
      ? []
      : [{ phase: 'delete-role-references', object: roleObject(name) }];
  const places = observed.references.get(name) ?? [];
  const names = new Set(places.map((place) => place ?? input.systemDatabase));
  const ordered = [...names].sort(
    (a, b) => Number(b === input.systemDatabase) - Number(a === input.systemDatabase),
  );
  return ordered.map((database) => {
    if (observed.databases.get(database)?.connectable === false) {
      return skip(
        roleObject(name),
        `database ${JSON.stringify(database)} refers to it, but accepts no connections`,
        true,
      );
    }
    const statements = handOver({
      role: oid,
      dropped: [...dropped.values()].map((role) => role.oid),
      toOwner: database !== input.systemDatabase || isListed(input, database),
      privilegedRole: input.privilegedRole,
      major: major(observed),
    });
    const heir = heirOf(name, input, observed, dropped, database);
    return unit(
      'session-in-turn',
      `hand over to ${JSON.stringify(heir)}`,
      roleObject(name),
      statements,
      database,
      { requires },
    );
  });
}

const isListed = ({ spec }: CatalogInput, database: string): boolean =>
  spec.cluster.databases.some(({ name }) => name === database);

/** The heir, as far as it is known before: the database's owner, in the system database the superuser; in place of a
 *  superuser the privileged role, unless the role that goes is a superuser itself. */
function heirOf(
  role: string,
  input: CatalogInput,
  observed: Observed,
  dropped: ReadonlyMap<string, ObservedRole>,
  database: string,
): string {
  const existing = observed.databases.get(database);
  const owner = existing?.owner ?? '';
  const nobodys =
    (database === input.systemDatabase && !isListed(input, database)) || owner === '' || dropped.has(owner);
  const heir = nobodys ? input.adminRole : owner;
  const isSuperuser = (name: string): boolean =>
    observed.roles.get(name)?.attributes.superuser ?? (name === existing?.owner && existing.ownerIsSuperuser);
  return isSuperuser(heir) && !isSuperuser(role) ? input.privilegedRole : heir;
}
