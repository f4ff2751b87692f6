import { ident, sql } from '../../core/sql.ts';
import type { Database } from '../../spec/schema.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { CatalogInput } from '../input.ts';
import type { ObservedDatabase } from '../observed.ts';
import type { Phase, PlanItem } from '../phase.ts';
import { option } from '../role-options.ts';

const { unit, skip } = itemsOf('databases');

/** The spec's databases and their owners. Options are used only at creation.
 *
 *  The privileged role gets its privileges only on a database that we create, in the same transaction as the owner gets the
 *  database. Before that, the superuser owns the database and its privileges are the default: this identifies a database
 *  that an interrupted pass created, and excludes those that users created. */
export const databases: Phase = {
  name: 'databases',
  plan(input, observed) {
    const wanted = input.spec.cluster.databases;
    const missing = wanted.filter(({ name }) => !observed.databases.has(name));
    const incomplete = wanted.filter((one) => isIncomplete(input, one, observed.databases.get(one.name)));
    return [
      ...wanted.flatMap((one): PlanItem[] => {
        const { name, owner } = one;
        const existing = observed.databases.get(name);
        if (existing === undefined || existing.owner === owner || incomplete.includes(one)) return [];
        if (existing.invalid) return [skip(databaseObject(name), 'it is invalid', true)];
        const alter = sql`alter database ${ident(name)} owner to ${ident(owner)}`;
        return [unit('batch', 'change owner', databaseObject(name), [alter], null, { concerns: name })];
      }),
      ...missing.map((database) =>
        unit('create', 'create', databaseObject(database.name), [create(database)], null, {
          concerns: database.name,
          alone: { database: templateOf(database), purpose: 'copy' },
        }),
      ),
      ...incomplete.map(({ name, owner }) => {
        const grant = sql`grant all privileges on database ${ident(name)} to ${ident(input.privilegedRole)}`;
        const handOver = sql`alter database ${ident(name)} owner to ${ident(owner)}`;
        const statements = owner === input.adminRole ? [grant] : [grant, handOver];
        return unit('batch', 'grant', databaseObject(name), statements, null, { concerns: name });
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

const isIncomplete = (
  { adminRole, systemDatabase }: CatalogInput,
  { name }: Database,
  existing: ObservedDatabase | undefined,
): boolean => {
  if (name === systemDatabase) return false;
  if (existing === undefined) return true;
  return existing.owner === adminRole && existing.untouchedAcl && !existing.builtIn && !existing.invalid;
};

const create = ({ name, options }: Database) =>
  (options ?? []).reduce((all, one) => sql`${all} ${option(one)}`, sql`create database ${ident(name)}`);

/** The database that `create` copies. */
function templateOf({ options }: Database): string {
  const given = (options ?? []).find((one) => one.name.trim().toLowerCase() === 'template');
  if (given === undefined || given.value === null) return 'template1';
  if (given.vartype === 'string') return given.value;
  const [, quoted] = /^"(.*)"$/s.exec(given.value) ?? [];
  if (quoted !== undefined) return quoted.replaceAll('""', '"');
  const [, text] = /^'(.*)'$/s.exec(given.value) ?? [];
  if (text !== undefined) return text.replaceAll("''", "'");
  const word = given.value.toLowerCase();
  return word === 'default' ? 'template1' : word;
}

const created = ({ owner, options }: Database): ObservedDatabase => ({
  oid: 0,
  owner,
  ownerIsSuperuser: false,
  connectable: !(options ?? []).some(
    (one) => /^allow_connections$/i.test(one.name.trim()) && /^(?:f|false|off|no|0)$/i.test(one.value ?? ''),
  ),
  invalid: false,
  template: false,
  untouchedAcl: false,
  builtIn: false,
  subscriptions: 0,
  defaultPrivileges: 0,
  publicMarked: false,
  schemaOwners: [],
  webAccess: false,
});
