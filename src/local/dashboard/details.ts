import type { ComputeStatus, DbsAndRoles, Downtime as Downtimes } from '../../client/types.ts';
import type { Accepted } from '../desired/accepted.ts';
import { appName } from '../desired/names.ts';
import type { CatalogObject, Check, Details, Downtime } from './model.ts';

export const noDetails: Details = {
  status: null,
  error: null,
  lastActive: null,
  downtime: null,
  objects: [],
  checks: [],
};

const mostIncidents = 20;

/** Picks what may be shown: of the roles, for instance, not their passwords. Pure. */
export const detailsOf = (
  name: string,
  status: ComputeStatus | null,
  downtime: Downtimes | null,
  catalog: DbsAndRoles | null,
  accepted: Accepted | null,
): Details => ({
  status: status?.status ?? null,
  error: status?.error ?? null,
  lastActive: status?.last_active ?? null,
  downtime: downtime === null ? null : downtimeOf(downtime),
  objects: catalog === null ? [] : objectsOf(catalog, status, accepted),
  checks: status === null ? [] : checksOf(name, status),
});

const downtimeOf = ({ total_downtime_ms, incidents }: Downtimes): Downtime => ({
  totalMs: total_downtime_ms,
  incidents: incidents
    .map(({ started_at, ended_at, duration_ms, reason, sqlstate }) => ({
      from: started_at,
      to: ended_at,
      ms: duration_ms,
      why: `${reason.replaceAll('_', ' ')}${sqlstate === null ? '' : ` (SQLSTATE ${sqlstate})`}`,
    }))
    .toSorted((a, b) => b.from.localeCompare(a.from))
    .slice(0, mostIncidents),
});

const builtInRole = /^(pg_|cloud_admin$|neon_superuser$)/;
const builtInDatabases: readonly string[] = ['postgres', 'template0', 'template1'];

/** What a spec asks for, with when `apply` took it from a compute.json; null: it is always there. */
function askedFor(accepted: Accepted | null): CatalogObject[] {
  const blank = { owner: null, state: 'missing', error: null, hint: null, since: null } as const;
  const at = accepted?.at ?? null;
  const app = [
    { ...blank, kind: 'database', name: appName, owner: appName, accepted: null },
    { ...blank, kind: 'role', name: appName, accepted: null },
  ] as const;
  const own = [
    ...(accepted?.databases ?? []).map(
      ({ name, owner }) => ({ ...blank, kind: 'database', name, owner, accepted: at }) as const,
    ),
    ...(accepted?.roles ?? []).map(({ name }) => ({ ...blank, kind: 'role', name, accepted: at }) as const),
  ];
  return [...app.filter((one) => !own.some((other) => isSame(one, other))), ...own];
}

const isSame = (a: Pick<CatalogObject, 'kind' | 'name'>, b: Pick<CatalogObject, 'kind' | 'name'>): boolean =>
  a.kind === b.kind && a.name === b.name;

/** The same, of a compute that was not looked at since `up` began, as one that sleeps. Pure. */
export const notSeen = (accepted: Accepted | null): CatalogObject[] =>
  askedFor(accepted).map((one) => ({ ...one, state: 'unknown' }));

function objectsOf(
  { databases, roles }: DbsAndRoles,
  status: ComputeStatus | null,
  accepted: Accepted | null,
): CatalogObject[] {
  const asked = askedFor(accepted);
  const failed = status?.failed_databases ?? [];
  const found = [
    ...databases.map(({ name, owner }) => ({ kind: 'database', name, owner }) as const),
    ...roles.map(({ name }) => ({ kind: 'role', name, owner: null }) as const),
  ];
  const all = [
    ...found.map((one): CatalogObject => {
      const wanted = asked.find((other) => isSame(one, other));
      const isBuiltIn =
        one.kind === 'role' ? builtInRole.test(one.name) : builtInDatabases.includes(one.name);
      const state = wanted !== undefined ? 'applied' : isBuiltIn ? 'built in' : 'by hand';
      return { ...one, state, accepted: wanted?.accepted ?? null, error: null, hint: null, since: null };
    }),
    ...asked.filter((one) => !found.some((other) => isSame(one, other))),
    ...failed
      .filter(({ name }) => ![...databases, ...asked].some((one) => one.name === name))
      .map(({ name }): CatalogObject => ({
        ...{ kind: 'database', name, owner: null, state: 'failed', accepted: null },
        ...{ error: null, hint: null, since: null },
      })),
  ];
  const inOrder = all.toSorted((a, b) => a.kind.localeCompare(b.kind));
  return inOrder.map((one) => {
    const failure = one.kind === 'database' ? failed.find(({ name }) => name === one.name) : undefined;
    if (failure === undefined) return one;
    const { error, hint, since } = failure;
    return { ...one, state: 'failed', error, hint, since };
  });
}

/** What is not well, of what compute_ctl says. */
function checksOf(name: string, status: ComputeStatus): Check[] {
  const bad = (text: string, hint: string | null): Check => ({
    state: 'bad',
    text: `${name}: ${text}`,
    hint,
  });
  const wait = (text: string, hint: string | null): Check => ({
    state: 'wait',
    text: `${name}: ${text}`,
    hint,
  });
  const { commits, failed_databases, services, pending_restart, overridden_settings, retrying } = status;
  return [
    ...(commits === undefined
      ? []
      : [bad(`commits do not return since ${commits.since}: ${commits.reason}`, commits.hint)]),
    ...(failed_databases ?? []).map(({ name: database, error, hint }) =>
      bad(`the database "${database}" is not as its spec says: ${error}`, hint),
    ),
    ...(retrying ?? []).map(({ what, failures, error }) =>
      wait(`${what.replaceAll('_', ' ')}: ${failures} attempts have failed: ${error}`, 'it is tried again'),
    ),
    ...Object.entries(services)
      .filter(([, { state }]) => state !== 'ok')
      .map(([service, { state, error }]) =>
        wait(`the service ${service} is ${state}${error === null ? '' : `: ${error}`}`, null),
      ),
    ...(pending_restart ?? []).map(({ name: setting }) =>
      wait(
        `the setting ${setting} takes effect at the next start`,
        'end compute-local up and start it again',
      ),
    ),
    ...(overridden_settings ?? []).map(({ name: setting, file, line }) =>
      wait(
        `the setting ${setting} is not in force: ${file}, line ${line}, has another value`,
        'remove that line',
      ),
    ),
  ];
}
