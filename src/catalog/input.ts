import type { PgTarget } from '../pg/target.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { Remainder } from './remainder.ts';
import type { ComputeSpec } from '../spec/schema.ts';

/** The input of a catalog pass, except the server's own state. */
export interface CatalogInput {
  readonly spec: ComputeSpec;
  /** 32 hex digits, lower case. */
  readonly timelineId: string;
  /** The role that the spec's roles are members of. */
  readonly privilegedRole: string;
  /** The superuser that compute_ctl logs in as. */
  readonly adminRole: string;
  /** The connection string's database, which has the bookkeeping tables. */
  readonly systemDatabase: string;
  readonly stage: 'start' | 'reconfigure';
  /** What lakebase mode adds. */
  readonly lakebase: boolean;
  /** Inspect every database of the spec, also if the shared catalogs show that it requires no change. */
  readonly verify: boolean;
  /** Do only what an earlier pass has left undone; null: everything. */
  readonly again: Remainder | null;
}

export function catalogInput(
  resolved: Pick<ResolvedSpec, 'spec' | 'timelineId'>,
  options: {
    readonly target: PgTarget;
    readonly privilegedRole: string;
    readonly stage: CatalogInput['stage'];
    readonly lakebase?: boolean;
    readonly verify?: boolean;
    readonly again?: Remainder | null;
  },
): CatalogInput {
  return {
    spec: resolved.spec,
    timelineId: resolved.timelineId,
    privilegedRole: options.privilegedRole,
    adminRole: options.target.user,
    systemDatabase: options.target.database,
    stage: options.stage,
    lakebase: options.lakebase ?? false,
    verify: options.verify ?? false,
    again: options.again ?? null,
  };
}

/** Roles that log in through local_proxy; they are created without privileges. */
export const proxyRoles = (spec: ComputeSpec): ReadonlySet<string> =>
  new Set(spec.local_proxy_config?.jwks?.flatMap((entry) => entry.role_names) ?? []);
