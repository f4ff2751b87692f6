import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { writeDurable } from '../../process/files.ts';
import { readSmall } from '../../process/regular-file.ts';
import { scramVerifier } from '../scram-verifier.ts';
import type { LocalDir } from '../state.ts';
import { acceptedName, appName } from './names.ts';
import { largestSoFar } from './standby.ts';
import { type Desired, type DesiredDatabase, type DesiredRole, settingText } from './schema.ts';

/** A role's password, which compute-local has generated. */
export interface Login {
  readonly password: string;
  /** As PostgreSQL stores it, so that every start sets the same one. */
  readonly verifier: string;
}

export interface WantedExtension {
  readonly name: string;
  /** Null: the newest that is installed. */
  readonly version: string | null;
  /** Null: all that are wanted, and `app`. */
  readonly databases: readonly string[] | null;
}

/** What the latest `apply` has accepted: every start uses it. Only its owner can read the file. */
export interface Accepted {
  readonly version: 1;
  /** The path of the compute.json. */
  readonly file: string;
  /** RFC 3339, UTC, ends in `Z`. */
  readonly at: string;
  readonly roles: readonly DesiredRole[];
  readonly databases: readonly DesiredDatabase[];
  readonly extensions: readonly WantedExtension[];
  readonly settings: Readonly<Record<string, string>>;
  /** See standby.ts. */
  readonly largest: Readonly<Record<string, number>>;
  /** Of every role that has been wanted, also of those that no longer are and were not dropped. */
  readonly logins: Readonly<Record<string, Login>>;
  /** Databases that are no longer wanted, and were not dropped. */
  readonly formerDatabases: readonly string[];
  /** Extensions that are no longer wanted, where they were; missing in files of earlier versions. */
  readonly formerExtensions?: readonly PlacedExtension[];
}

/** An extension in one database. */
export interface PlacedExtension {
  readonly name: string;
  readonly database: string;
}

const pathOf = ({ root }: LocalDir): string => join(root, acceptedName);

/** Null when nothing has been applied. @throws ComputeError `config_unreadable` */
export function readAccepted(dir: LocalDir): Accepted | null {
  const path = pathOf(dir);
  if (!existsSync(path)) return null;
  try {
    const found = JSON.parse(readSmall(path)) as Accepted;
    if (found.version === 1) return found;
  } catch (cause) {
    // Its words quote the text, which has passwords.
    if (cause instanceof SyntaxError) throw unreadable(path, 'is damaged: it is not valid JSON');
    throw unreadable(path, 'cannot be read', cause);
  }
  throw unreadable(path, 'was written by another version of compute-local');
}

const unreadable = (path: string, why: string, cause?: unknown): ComputeError =>
  new ComputeError('config_unreadable', `${path}, which holds what apply has accepted, ${why}`, {
    cause,
    hint: 'restore it from a backup; without one, remove it and run compute-local apply: roles get new passwords',
  });

export const writeAccepted = (dir: LocalDir, accepted: Accepted): void =>
  writeDurable(pathOf(dir), `${JSON.stringify(accepted, null, 2)}\n`);

/** The password of a role that is, or was, wanted. */
export const loginOf = (accepted: Accepted | null, name: string): Login | null =>
  accepted !== null && Object.hasOwn(accepted.logins, name) ? (accepted.logins[name] ?? null) : null;

/** Roles that are no longer wanted, and were not dropped. */
export const formerRoles = ({ roles, logins }: Accepted): string[] =>
  Object.keys(logins).filter((name) => name !== appName && !roles.some((role) => role.name === name));

/** The databases of each extension, in the order in which they are installed. */
export function wantedExtensions(
  wanted: Pick<Accepted, 'databases' | 'extensions'>,
): (PlacedExtension & { readonly version: string | null })[] {
  const all = [...new Set([appName, ...wanted.databases.map(({ name }) => name)])];
  return wanted.extensions.flatMap(({ name, version, databases }) =>
    (databases ?? all).map((database) => ({ name, database, version })),
  );
}

/** What was wanted before and no longer is. One in a database that is no longer wanted goes with that. */
function formerExtensions(
  wanted: Pick<Accepted, 'databases' | 'extensions'>,
  before: Accepted | null,
): PlacedExtension[] {
  if (before === null) return [];
  const key = ({ name, database }: PlacedExtension): string => JSON.stringify([name, database]);
  const kept = new Set(wantedExtensions(wanted).map(key));
  const places = [appName, ...wanted.databases.map(({ name }) => name)];
  const had = [...(before.formerExtensions ?? []), ...wantedExtensions(before)];
  const former = had.filter((one) => places.includes(one.database) && !kept.has(key(one)));
  return [
    ...new Map(former.map(({ name, database }) => [key({ name, database }), { name, database }])).values(),
  ];
}

/** What to accept: the passwords of known roles stay, new ones get one. */
export function accept(desired: Desired, file: string, before: Accepted | null): Accepted {
  const databases = new Set(desired.databases.map(({ name }) => name));
  const had = [...(before?.databases.map(({ name }) => name) ?? []), ...(before?.formerDatabases ?? [])];
  const logins = desired.roles
    .filter(({ name }) => name !== appName)
    .map(({ name }) => [name, loginOf(before, name) ?? newLogin()] as const);
  const settings = Object.fromEntries(
    Object.entries(desired.settings).map(([name, value]) => [name.toLowerCase(), settingText(value)]),
  );
  const extensions = desired.extensions.map((one) =>
    typeof one === 'string'
      ? { name: one, version: null, databases: null }
      : { name: one.name, version: one.version ?? null, databases: one.databases ?? null },
  );
  return {
    version: 1,
    file,
    at: new Date().toISOString(),
    roles: desired.roles,
    databases: desired.databases,
    extensions,
    settings,
    largest: largestSoFar(settings, before),
    logins: { ...before?.logins, ...Object.fromEntries(logins) },
    formerDatabases: [...new Set(had)].filter((name) => name !== appName && !databases.has(name)),
    formerExtensions: formerExtensions({ databases: desired.databases, extensions }, before),
  };
}

/** Without what has been dropped. */
export function withoutDropped(
  accepted: Accepted,
  dropped: readonly { readonly kind: 'role' | 'database'; readonly name: string }[],
): Accepted {
  const isDropped = (kind: 'role' | 'database', name: string): boolean =>
    dropped.some((one) => one.kind === kind && one.name === name);
  const logins = Object.entries(accepted.logins).filter(([name]) => !isDropped('role', name));
  return {
    ...accepted,
    logins: Object.fromEntries(logins),
    formerDatabases: accepted.formerDatabases.filter((name) => !isDropped('database', name)),
  };
}

export function newLogin(): Login {
  const password = randomBytes(24).toString('base64url');
  return { password, verifier: scramVerifier(password) };
}
