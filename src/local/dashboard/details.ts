import type { ComputeStatus, DbsAndRoles, Downtime as Downtimes } from '../../client/types.ts';
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
): Details => ({
  status: status?.status ?? null,
  error: status?.error ?? null,
  lastActive: status?.last_active ?? null,
  downtime: downtime === null ? null : downtimeOf(downtime),
  objects: catalog === null ? [] : objectsOf(catalog, status),
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

function objectsOf({ databases, roles }: DbsAndRoles, status: ComputeStatus | null): CatalogObject[] {
  const failed = status?.failed_databases ?? [];
  const missing = failed.filter(({ name }) => databases.every((one) => one.name !== name));
  const applied = { owner: null, error: null, hint: null, since: null };
  const database = (name: string, owner: string | null): CatalogObject => {
    const failure = failed.find((one) => one.name === name);
    const state = builtInDatabases.includes(name) ? 'built in' : 'applied';
    if (failure === undefined) return { ...applied, kind: 'database', name, owner, state };
    const { error, hint, since } = failure;
    return { kind: 'database', name, owner, state: 'failed', error, hint, since };
  };
  return [
    ...[...databases, ...missing.map(({ name }) => ({ name, owner: null }))].map(({ name, owner }) =>
      database(name, owner),
    ),
    ...roles.map(({ name }) => ({
      ...applied,
      kind: 'role' as const,
      name,
      state: builtInRole.test(name) ? ('built in' as const) : ('applied' as const),
    })),
  ];
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
