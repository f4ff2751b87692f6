import { ident, sql } from '../../core/sql.ts';
import type { Database } from '../../spec/schema.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { ObservedDatabase } from '../observed.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { option } from '../role-options.ts';

const { unit, skip } = itemsOf('databases');

/** The spec's databases and their owners. Options are used only at creation.
 *
 *  The privileged role gets its privileges on a database once: while the database's privileges are still the default.
 *  This also covers a database that an interrupted pass created as its last step. */
export const databases: Phase = {
  name: 'databases',
  plan(input, observed) {
    const wanted = input.spec.cluster.databases;
    const missing = wanted.filter(({ name }) => !observed.databases.has(name));
    const untouched = wanted.filter(({ name }) => {
      const existing = observed.databases.get(name);
      return existing === undefined || (existing.untouchedAcl && !existing.builtIn && !existing.invalid);
    });
    return [
      ...wanted.flatMap(({ name, owner }): PlanItem[] => {
        const existing = observed.databases.get(name);
        if (existing === undefined || existing.owner === owner) return [];
        if (existing.invalid) return [skip(databaseObject(name), 'it is invalid', true)];
        const alter = sql`alter database ${ident(name)} owner to ${ident(owner)}`;
        return [unit('batch', 'change owner', databaseObject(name), [alter])];
      }),
      ...missing.map((database) =>
        unit('create', 'create', databaseObject(database.name), [create(database)]),
      ),
      ...untouched.map(({ name }) => {
        const grant = sql`grant all privileges on database ${ident(name)} to ${ident(input.privilegedRole)}`;
        return unit('batch', 'grant', databaseObject(name), [grant]);
      }),
    ];
  },
  foresee(input, observed) {
    const after = new Map(observed.databases);
    for (const database of input.spec.cluster.databases) {
      const now = after.get(database.name);
      after.set(database.name, now === undefined ? created(database) : { ...now, owner: database.owner });
    }
    return { ...observed, databases: after };
  },
};

const create = ({ name, owner, options }: Database) =>
  (options ?? []).reduce(
    (all, one) => sql`${all} ${option(one)}`,
    sql`create database ${ident(name)} owner ${ident(owner)}`,
  );

const created = ({ owner, options }: Database): ObservedDatabase => ({
  oid: 0,
  owner,
  connectable: !(options ?? []).some(
    (one) => /^allow_connections$/i.test(one.name.trim()) && /^(?:f|false|off|no|0)$/i.test(one.value ?? ''),
  ),
  invalid: false,
  template: false,
  untouchedAcl: false,
  builtIn: false,
  subscriptions: 0,
  defaultPrivileges: 0,
  webAccess: false,
});
