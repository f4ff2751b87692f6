import { ComputeError } from '../core/errors.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import { Secret } from '../core/secret.ts';
import { type PageserverInfo, resolvePageserver } from './pageserver.ts';
import type { ComputeSpec } from './schema.ts';
import { setting } from './setting.ts';

export type { Pageserver, PageserverInfo } from './pageserver.ts';
export { setting } from './setting.ts';

export type ResolvedMode =
  | { readonly kind: 'primary' }
  | { readonly kind: 'replica' }
  | { readonly kind: 'static'; readonly lsn: Lsn };

/** A spec together with the values derived from it, wherever in the spec they come from. */
export interface ResolvedSpec {
  /** As parsed, except that meaningless numbers are replaced by the ones that are used instead. */
  readonly spec: ComputeSpec;
  readonly mode: ResolvedMode;
  /** 32 hex digits, lower case. */
  readonly tenantId: string;
  readonly timelineId: string;
  readonly pageserver: PageserverInfo;
  /** `host:port` each, without blanks and without the prefix of the generation. */
  readonly safekeepers: readonly string[];
  /** The safekeeper set's generation: the spec's field, else the list's `g#N:` prefix. */
  readonly safekeepersGeneration: number | null;
  readonly endpointStorage: { readonly addr: string | null; readonly token: Secret | null };
  /** Seconds between two collections of extension statistics. */
  readonly extensionStatsSeconds: number;
}

/** Derives the values that a spec does not give directly, in a fixed order: the first missing one is reported.
 *  @throws ComputeError `spec_invalid` */
export function resolveSpec(spec: ComputeSpec): ResolvedSpec {
  const mode = resolveMode(spec);
  const pageserver = resolvePageserver(spec);
  const { safekeepers, prefixGeneration } = resolveSafekeepers(spec, mode);
  const tenantId = resolveId(spec.tenant_id ?? setting(spec, 'neon.tenant_id'), 'tenant');
  const timelineId = resolveId(spec.timeline_id ?? setting(spec, 'neon.timeline_id'), 'timeline');
  if (mode.kind === 'primary') checkSafekeepers(safekeepers);
  const token = setting(spec, 'neon.endpoint_storage_token');
  return {
    spec: { ...spec, reconfigure_concurrency: Math.max(1, spec.reconfigure_concurrency) },
    mode,
    tenantId,
    timelineId,
    pageserver,
    safekeepers,
    safekeepersGeneration: spec.safekeepers_generation ?? prefixGeneration,
    endpointStorage: {
      addr: spec.endpoint_storage_addr ?? setting(spec, 'neon.endpoint_storage_addr'),
      token: spec.endpoint_storage_token ?? (token === null ? null : new Secret(token)),
    },
    extensionStatsSeconds: spec.suspend_timeout_seconds > 0 ? spec.suspend_timeout_seconds : 3600,
  };
}

function resolveMode({ mode }: ComputeSpec): ResolvedMode {
  if (mode === 'Primary') return { kind: 'primary' };
  if (mode === 'Replica') return { kind: 'replica' };
  const lsn = parseLsn(mode.Static);
  if (lsn === null) throw invalid(`mode: "${mode.Static}" is not an LSN`);
  return { kind: 'static', lsn };
}

function resolveSafekeepers(
  spec: ComputeSpec,
  mode: ResolvedMode,
): { safekeepers: readonly string[]; prefixGeneration: number | null } {
  const list = safekeeperList(spec, mode);
  const prefix = /^\s*g#(\d+):/.exec(list[0] ?? '');
  const prefixGeneration = prefix === null ? null : Number(prefix[1]);
  if (prefixGeneration !== null && prefixGeneration > 0xffff_ffff) {
    throw invalid(
      `generation of the safekeepers: expected integer from 0 to 4294967295, found ${prefix?.[1]}`,
    );
  }
  const safekeepers = list
    .map((entry, at) => (at === 0 ? entry.slice(prefix?.[0].length ?? 0) : entry).trim())
    .filter((entry) => entry !== '');
  return { safekeepers, prefixGeneration };
}

function safekeeperList(spec: ComputeSpec, mode: ResolvedMode): readonly string[] {
  if (spec.safekeeper_connstrings.length > 0 || mode.kind !== 'primary') return spec.safekeeper_connstrings;
  const list = setting(spec, 'neon.safekeepers');
  if (list === null) throw invalid('safekeeper connstrings should be provided');
  return list.split(',');
}

function checkSafekeepers(safekeepers: readonly string[]): void {
  if (safekeepers.length === 0) throw invalid('safekeeper_connstrings is empty');
  const twice = safekeepers.find((entry, at) => safekeepers.indexOf(entry) !== at);
  if (twice !== undefined) throw invalid(`duplicate entry in safekeeper_connstrings: ${twice}!`);
}

function resolveId(text: string | null, what: 'tenant' | 'timeline'): string {
  if (text === null) throw invalid(`${what} id should be provided`);
  if (!/^[0-9a-f]{32}$/i.test(text)) throw invalid(`invalid ${what} id`);
  return text.toLowerCase();
}

const invalid = (message: string): ComputeError => new ComputeError('spec_invalid', message);
