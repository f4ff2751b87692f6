import { parseValidUntil } from '../../catalog/role-attributes.ts';
import { did } from '../../config/clearer.ts';
import { nameFault, textFault } from '../../core/sql.ts';
import type { JsonPath } from '../../spec/path.ts';
import { appName } from './names.ts';
import { databaseSettingOf } from './packages.ts';
import { whyOwned, whyUnusable } from './owned.ts';
import type { Problem } from './problem.ts';
import { type Desired, settingText } from './schema.ts';

/** The superuser, and the role that the roles of a spec are members of: compute_ctl's own. */
const systemRoles = ['cloud_admin', 'neon_superuser'];
const systemDatabases = ['postgres', 'template0', 'template1'];

/** What contradicts itself, or belongs to somebody else. Pure. */
export function ruleProblems(desired: Desired): Problem[] {
  return [
    ...roleProblems(desired),
    ...databaseProblems(desired),
    ...extensionProblems(desired),
    ...settingProblems(desired),
  ];
}

const unless = (message: string | null, path: JsonPath): Problem[] =>
  message === null ? [] : [{ path, message }];

function roleProblems({ roles }: Desired): Problem[] {
  return roles.flatMap(({ name, valid_until }, at): Problem[] => [
    ...unless(roleNameFault(name), ['roles', at, 'name']),
    ...unless(twice(roles, at), ['roles', at, 'name']),
    ...(valid_until !== undefined && !isTime(valid_until)
      ? [{ path: ['roles', at, 'valid_until'], message: 'is not a time such as "2027-01-31 12:00:00Z"' }]
      : []),
  ]);
}

/** PostgreSQL refuses a day that its month does not have, where JavaScript goes on to the next month. */
function isTime(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? [];
  const last = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return parseValidUntil(text) !== null && (day === undefined || (year !== '0000' && Number(day) <= last));
}

function roleNameFault(name: string): string | null {
  if (systemRoles.includes(name)) return `${JSON.stringify(name)} is a role of compute_ctl itself`;
  if (name.startsWith('pg_')) return 'begins with "pg_", which is reserved for PostgreSQL itself';
  if (name === 'public' || name === 'none') return 'is a reserved word and cannot name a role';
  return nameFault(name);
}

function databaseProblems({ roles, databases }: Desired): Problem[] {
  const owners = [appName, ...roles.map(({ name }) => name)];
  return databases.flatMap(({ name, owner, ...options }, at): Problem[] => [
    ...unless(
      systemDatabases.includes(name)
        ? `${JSON.stringify(name)} is a database of PostgreSQL itself`
        : nameFault(name),
      ['databases', at, 'name'],
    ),
    ...unless(twice(databases, at), ['databases', at, 'name']),
    ...(owners.includes(owner)
      ? []
      : [
          {
            path: ['databases', at, 'owner'],
            message: `there is no role ${JSON.stringify(owner)} in this file${did(owner, owners)}`,
          },
        ]),
    ...Object.entries(options).flatMap(([key, value]) =>
      value === undefined ? [] : unless(textFault(value), ['databases', at, key]),
    ),
  ]);
}

function extensionProblems({ extensions, databases }: Desired): Problem[] {
  const known = [appName, ...databases.map(({ name }) => name)];
  const names = extensions.map((one) => ({ name: typeof one === 'string' ? one : one.name }));
  return extensions.flatMap((one, at): Problem[] => {
    const given = typeof one === 'string' ? [] : (one.databases ?? []);
    const path = typeof one === 'string' ? ['extensions', at] : ['extensions', at, 'name'];
    const name = names[at]?.name ?? '';
    const isAll = typeof one === 'string' || one.databases === undefined;
    return [
      ...unless(nameFault(name), path),
      ...unless(twice(names, at), path),
      ...unless(severalFault(name, isAll ? known : given), path),
      ...given.flatMap((database, index) =>
        unless(placeFault(database, given.indexOf(database) < index, known), [
          'extensions',
          at,
          'databases',
          index,
        ]),
      ),
    ];
  });
}

function placeFault(database: string, isAgain: boolean, known: readonly string[]): string | null {
  const name = JSON.stringify(database);
  if (!known.includes(database)) return `there is no database ${name} in this file${did(database, known)}`;
  return isAgain ? `${name} is there twice` : null;
}

/** Some extensions work in one database only. */
function severalFault(name: string, databases: readonly string[]): string | null {
  if (databaseSettingOf(name) === null || new Set(databases).size < 2) return null;
  return `${JSON.stringify(name)} can be in one database only: { "name": ${JSON.stringify(name)}, "databases": [${JSON.stringify(databases[0])}] }`;
}

/** As it can stand in postgresql.conf.
 *  @see src/backend/utils/misc/guc-file.l */
const settingName = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/;

function settingProblems({ settings }: Desired): Problem[] {
  const seen = new Set<string>();
  return Object.entries(settings).flatMap(([name, value]): Problem[] => {
    const path = ['settings', name];
    const lower = name.toLowerCase();
    const again = seen.has(lower);
    seen.add(lower);
    if (!settingName.test(name)) return [{ path, message: 'is not a name of a setting' }];
    const owned = whyOwned(lower);
    if (owned !== null) return [{ path, message: `cannot be given: ${owned}` }];
    const text = settingText(value);
    // JSON.parse has rounded it already.
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
      return [{ path, message: 'has more digits than a number of JSON keeps: write it as text' }];
    return [
      ...(again ? [{ path, message: 'is given twice: PostgreSQL ignores case in names of settings' }] : []),
      ...unless(whyUnusable(lower, text) ?? textFault(text), path),
      ...unless(/[\r\n]/.test(text) ? 'must be on one line' : null, path),
    ];
  });
}

/** Says so at the second of two with the same name. */
function twice(list: readonly { readonly name: string }[], at: number): string | null {
  const name = list[at]?.name;
  const first = list.findIndex((one) => one.name === name);
  return first === at ? null : `${JSON.stringify(name)} is there twice`;
}
