import { parseValidUntil } from '../../catalog/role-attributes.ts';
import { type Accepted, formerRoles, loginOf, wantedExtensions } from './accepted.ts';
import type { Change, Left } from './change.ts';
import type { Observed, ObservedRole, ObservedSetting } from './observe.ts';
import { whyOwned } from './owned.ts';
import { appName } from './names.ts';
import type { DesiredRole } from './schema.ts';
import { wantedSettings } from './to-spec.ts';

export interface Diff {
  readonly changes: readonly Change[];
  /** What is no longer wanted, and stays. */
  readonly left: readonly Left[];
}

const blank = { database: null, what: null, from: null, to: null, restart: false } as const;

/** What differs between what is wanted and what is there. Pure.
 *  @param before what was accepted the last time
 *  @param observed null while Postgres does not run: then only what was accepted is known */
export function diff(wanted: Accepted, before: Accepted | null, observed: Observed | null): Diff {
  return {
    changes: [
      ...roleChanges(wanted, before, observed),
      ...databaseChanges(wanted, before, observed),
      ...settingChanges(wanted, before, observed),
      ...extensionChanges(wanted, before, observed),
    ],
    left: leftOf(wanted, observed),
  };
}

/** What is no longer wanted, and still there. */
function leftOf(wanted: Accepted, observed: Observed | null): Left[] {
  const databases = wanted.formerDatabases.filter((name) => observed?.databases.has(name) ?? true);
  const roles = formerRoles(wanted).filter((name) => observed?.roles.has(name) ?? true);
  return [
    ...databases.map((name) => ({ kind: 'database', name }) as const),
    ...roles.map((name) => ({ kind: 'role', name }) as const),
    ...(wanted.formerExtensions ?? [])
      .filter(({ name, database }) => observed?.extensions.get(database)?.has(name) ?? observed === null)
      .map((one) => ({ kind: 'extension', ...one }) as const),
  ];
}

function roleChanges(wanted: Accepted, before: Accepted | null, observed: Observed | null): Change[] {
  return wanted.roles.flatMap((role): Change[] => {
    const { name } = role;
    const known = before?.roles.find((one) => one.name === name);
    if (observed === null) {
      if (known === undefined) return [{ ...blank, kind: 'role', name, action: 'create' }];
      const same = JSON.stringify(known) === JSON.stringify(role);
      return same ? [] : [{ ...blank, kind: 'role', name, action: 'change', what: 'attributes' }];
    }
    const now = observed.roles.get(name);
    if (now === undefined) return [{ ...blank, kind: 'role', name, action: 'create' }];
    const verifier = loginOf(wanted, name)?.verifier;
    // Set by somebody else, or the role was there before.
    const password = verifier === undefined || verifier === now.verifier ? [] : ['password'];
    const what = [...password, ...otherAttributes(role, now)];
    return what.length === 0
      ? []
      : [{ ...blank, kind: 'role', name, action: 'change', what: what.join(', ') }];
  });
}

const flags = ['createdb', 'createrole', 'bypassrls', 'replication', 'inherit'] as const;

function otherAttributes(role: DesiredRole, now: ObservedRole): string[] {
  const { connection_limit: limit, valid_until: until } = role;
  return [
    ...flags.filter((flag) => role[flag] !== undefined && role[flag] !== now[flag]),
    ...(limit !== undefined && limit !== now.connection_limit ? ['connection_limit'] : []),
    ...(until !== undefined && parseValidUntil(until) !== now.validUntil ? ['valid_until'] : []),
  ];
}

/** The one that is always there, also where the file no longer says who owns it. */
const withApp = (databases: Accepted['databases']): Accepted['databases'] =>
  databases.some(({ name }) => name === appName)
    ? databases
    : [{ name: appName, owner: appName }, ...databases];

function databaseChanges(wanted: Accepted, before: Accepted | null, observed: Observed | null): Change[] {
  const known = withApp(before?.databases ?? []).map(({ name, owner }) => [name, owner] as const);
  const owners = observed?.databases ?? new Map(known);
  return withApp(wanted.databases).flatMap(({ name, owner }): Change[] => {
    const now = owners.get(name);
    if (now === undefined)
      return [{ ...blank, kind: 'database', name, action: 'create', what: 'owner', to: owner }];
    if (now === owner) return [];
    return [{ ...blank, kind: 'database', name, action: 'change', what: 'owner', from: now, to: owner }];
  });
}

function settingChanges(wanted: Accepted, before: Accepted | null, observed: Observed | null): Change[] {
  const next = wantedSettings(wanted);
  const last = before === null ? {} : wantedSettings(before);
  // One that was removed may still wait for the next start.
  const pending = [...(observed?.settings ?? [])].flatMap(([name, now]) =>
    now.pendingRestart && whyOwned(name) === null ? [name] : [],
  );
  const names = [...new Set([...Object.keys(next), ...Object.keys(last), ...pending])];
  return names.flatMap((name): Change[] => {
    const now = observed?.settings.get(name);
    const [accepted, to] = [last[name], next[name]];
    const line = observed === null ? accepted : observed.lines.get(name)?.value;
    const restart = now?.atStart ?? false;
    const setting = { ...blank, kind: 'setting', name } as const;
    // What was accepted need not be in force: `apply` was interrupted, or ALTER SYSTEM counts more.
    const isSame = accepted === to && (to === undefined || line === to);
    if (isSame && now?.pendingRestart !== true) return [];
    if (isSame) return [{ ...setting, action: 'restart', to: to ?? null, restart: true }];
    if (to === undefined)
      return [{ ...setting, action: 'reset', from: accepted ?? null, to: 'default', restart }];
    const from = line === to ? (accepted ?? null) : (line ?? shown(now));
    return [{ ...setting, action: 'change', from, to, restart }];
  });
}

/** The value in force, with its unit; null where it is not known. */
const shown = (now: ObservedSetting | undefined): string | null => {
  if (now === undefined) return null;
  const { setting, unit } = now;
  if (unit === null || setting === '0' || setting === '-1') return setting;
  return inUnit(Number(setting), unit) ?? `${setting}${unit}`;
};

const larger: Readonly<Record<string, readonly (readonly [factor: number, unit: string])[]>> = {
  kB: [
    [1024 * 1024, 'GB'],
    [1024, 'MB'],
  ],
  MB: [[1024, 'GB']],
  ms: [
    [60_000, 'min'],
    [1000, 's'],
  ],
  s: [
    [3600, 'h'],
    [60, 'min'],
  ],
};

/** In the largest unit without a fraction, as `SHOW` has it. */
function inUnit(value: number, unit: string): string | null {
  const [, count, bytes] = /^(\d+)(kB|MB)$/.exec(unit) ?? [];
  const [amount, small] = bytes === undefined ? [value, unit] : [value * Number(count), bytes];
  if (!Number.isSafeInteger(amount)) return null;
  const [factor, name] = larger[small]?.find(([times]) => amount % times === 0) ?? [1, small];
  return `${amount / factor}${name}`;
}

function extensionChanges(wanted: Accepted, before: Accepted | null, observed: Observed | null): Change[] {
  const key = (one: { name: string; database: string }): string => JSON.stringify([one.name, one.database]);
  const had = new Set(before === null ? [] : wantedExtensions(before).map(key));
  return wantedExtensions(wanted).flatMap(({ name, database, version }): Change[] => {
    const extension = { ...blank, kind: 'extension', name, database } as const;
    if (observed === null)
      return had.has(key({ name, database })) ? [] : [{ ...extension, action: 'create', to: version }];
    const now = observed.extensions.get(database)?.get(name);
    const to = version ?? observed.available.get(name) ?? null;
    if (now === undefined) return [{ ...extension, action: 'create', to }];
    // Without a version, one that is there will do.
    if (version === null || now === version) return [];
    return [{ ...extension, action: 'change', what: 'version', from: now, to: version }];
  });
}
