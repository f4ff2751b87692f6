import { addLibraries } from '../../postgres/preload-libraries.ts';
import type { LocalState } from '../state.ts';
import { type Accepted, loginOf, wantedExtensions } from './accepted.ts';
import { preloadOf, settingsFor } from './packages.ts';
import { forStandby } from './standby.ts';
import type { DesiredDatabase, DesiredRole } from './schema.ts';

/** An option of a role or database, and a setting, as a spec has them. */
interface Option {
  readonly name: string;
  readonly value: string | null;
  readonly vartype: string;
}

/** What compute.json adds to the spec of the compute; `app` is always there. */
export interface WantedParts {
  readonly roles: readonly { name: string; encrypted_password: string; options: Option[] | null }[];
  readonly databases: readonly { name: string; owner: string; options: Option[] | null }[];
  readonly settings: readonly Option[];
}

/** @param state has the role and the database that are always there
 *  @param standby for a replica or a static node */
export function wantedParts(
  state: Pick<LocalState, 'user' | 'database' | 'passwordVerifier'>,
  wanted: Accepted | null,
  standby = false,
): WantedParts {
  const app: DesiredRole = { name: state.user };
  const roles = [app, ...(wanted?.roles ?? [])];
  const databases = [{ name: state.database, owner: state.user }, ...(wanted?.databases ?? [])];
  return {
    roles: lastOfEach(roles).map((role) => ({
      name: role.name,
      encrypted_password:
        role.name === state.user ? state.passwordVerifier : (loginOf(wanted, role.name)?.verifier ?? ''),
      options: orNull(roleOptions(role)),
    })),
    databases: lastOfEach(databases).map((one) => ({
      name: one.name,
      owner: one.owner,
      options: orNull(databaseOptions(one)),
    })),
    settings: Object.entries(wanted === null ? {} : settingsOf(wanted, standby)).map(([name, value]) => ({
      name,
      value,
      vartype: 'string',
    })),
  };
}

/** What the file says about `app` counts more than what is always there. */
const lastOfEach = <T extends { readonly name: string }>(list: readonly T[]): T[] => [
  ...new Map(list.map((one) => [one.name, one])).values(),
];

const orNull = (options: Option[]): Option[] | null => (options.length === 0 ? null : options);

const flags = ['createdb', 'createrole', 'bypassrls', 'replication', 'inherit'] as const;

function roleOptions({ connection_limit, valid_until, ...role }: DesiredRole): Option[] {
  const word = (name: string): Option => ({ name, value: null, vartype: 'bool' });
  return [
    ...flags.flatMap((flag) => (role[flag] === undefined ? [] : [word(role[flag] ? flag : `no${flag}`)])),
    ...(connection_limit === undefined
      ? []
      : [{ name: 'connection limit', value: String(connection_limit), vartype: 'integer' }]),
    ...(valid_until === undefined ? [] : [{ name: 'valid until', value: valid_until, vartype: 'string' }]),
  ];
}

/** A copy of another template than `template0` cannot have an encoding or a locale of its own. */
function databaseOptions({ encoding, locale, template }: Partial<DesiredDatabase>): Option[] {
  const other = encoding !== undefined || locale !== undefined;
  const from = template ?? (other ? 'template0' : undefined);
  return Object.entries({ template: from, encoding, locale }).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value, vartype: 'string' }],
  );
}

const preload = 'shared_preload_libraries';

/** With what the extensions need: libraries, after those of the file, and settings that the file does not have. */
export function wantedSettings(wanted: Accepted): Readonly<Record<string, string>> {
  const { settings, extensions } = wanted;
  const needed = wantedExtensions(wanted).map(({ name, database }) => settingsFor(name, database));
  const all = Object.fromEntries([...needed, settings].flatMap((some) => Object.entries(some)));
  const libraries = extensions.flatMap(({ name }) => preloadOf(name) ?? []);
  if (libraries.length === 0) return all;
  return { ...all, [preload]: addLibraries(settings[preload] ?? '', libraries) };
}

const settingsOf = (wanted: Accepted, standby: boolean): Readonly<Record<string, string>> =>
  standby ? forStandby(wantedSettings(wanted), wanted) : wantedSettings(wanted);
