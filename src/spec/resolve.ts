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

/** Derives the values that a spec does not give directly. One fault is reported in the original's words, with its path in
 *  the hint; several are all reported, with their paths.
 *  @throws ComputeError `spec_invalid` */
export function resolveSpec(spec: ComputeSpec): ResolvedSpec {
  const mode = resolveMode(spec);
  const found: Faults = [];
  const pageserver = attempt(found, 'pageserver_connection_info', () => resolvePageserver(spec));
  const given = attempt(found, 'safekeeper_connstrings', () => resolveSafekeepers(spec, mode));
  const id = (what: 'tenant' | 'timeline'): string | null =>
    attempt(found, `${what}_id`, () =>
      resolveId(spec[`${what}_id`] ?? setting(spec, `neon.${what}_id`), what),
    );
  const [tenantId, timelineId] = [id('tenant'), id('timeline')];
  if (pageserver === null || given === null || tenantId === null || timelineId === null)
    throw allFaults(found);
  const token = setting(spec, 'neon.endpoint_storage_token');
  return {
    spec: { ...spec, reconfigure_concurrency: Math.max(1, spec.reconfigure_concurrency) },
    mode,
    tenantId,
    timelineId,
    pageserver,
    safekeepers: given.safekeepers,
    safekeepersGeneration: spec.safekeepers_generation ?? given.prefixGeneration,
    endpointStorage: {
      addr: spec.endpoint_storage_addr ?? setting(spec, 'neon.endpoint_storage_addr'),
      token: spec.endpoint_storage_token ?? (token === null ? null : new Secret(token)),
    },
    extensionStatsSeconds: spec.suspend_timeout_seconds > 0 ? spec.suspend_timeout_seconds : 3600,
  };
}

type Faults = { readonly field: string; readonly error: ComputeError }[];

/** What `work` returns; null after a failure, which is added to `faults`. */
function attempt<T>(faults: Faults, field: string, work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error;
    faults.push({ field, error });
    return null;
  }
}

/** The settings that stand in for fields. */
const standIns: Readonly<Record<string, string>> = {
  pageserver_connection_info: 'spec.pageserver_connstring or the setting neon.pageserver_connstring',
  safekeeper_connstrings: 'the setting neon.safekeepers',
  tenant_id: 'the setting neon.tenant_id',
  timeline_id: 'the setting neon.timeline_id',
};

function allFaults(faults: Faults): ComputeError {
  const lines = faults.map(({ field, error }) => `spec.${field}: ${error.message}`);
  const hint = faults.map(({ field }) => `spec.${field} can also be given as ${standIns[field]}`).join('; ');
  const [first, ...others] = faults;
  return new ComputeError(
    'spec_invalid',
    others.length === 0 ? (first?.error.message ?? '') : lines.join('\n'),
    { hint },
  );
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
    .map((entry, at) => addressOf((at === 0 ? entry.slice(prefix?.[0].length ?? 0) : entry).trim()))
    .filter((entry) => entry !== '');
  if (mode.kind === 'primary') checkSafekeepers(safekeepers);
  return { safekeepers, prefixGeneration };
}

/** Of a URL of PostgreSQL only `host:port` is left: safekeepers are asked by a user and with a token of their own, and
 *  `neon.safekeepers` has no room for more. */
const addressOf = (entry: string): string =>
  /^postgres(?:ql)?:\/\/(?:[^@/?]*@)?([^@/?]+)(?:[/?].*)?$/.exec(entry)?.[1] ?? entry;

const isUrl = /^\s*[a-z][a-z0-9+.-]*:\/\//i;

/** True when the field holds URLs, which name the safekeepers' HTTP servers or come from other programs, and the setting
 *  `neon.safekeepers` holds addresses: then the setting counts. */
export function safekeepersOverruled(spec: ComputeSpec): boolean {
  const other = setting(spec, 'neon.safekeepers');
  const urls = (list: readonly string[]): boolean => list.some((entry) => isUrl.test(entry));
  return urls(spec.safekeeper_connstrings) && other !== null && !urls(other.split(','));
}

function safekeeperList(spec: ComputeSpec, mode: ResolvedMode): readonly string[] {
  const usable = spec.safekeeper_connstrings.length > 0 && !safekeepersOverruled(spec);
  if (usable || mode.kind !== 'primary') return spec.safekeeper_connstrings;
  const list = setting(spec, 'neon.safekeepers');
  if (list === null) throw invalid('safekeeper connstrings should be provided');
  return list.split(',');
}

function checkSafekeepers(safekeepers: readonly string[]): void {
  if (safekeepers.length === 0) throw invalid('safekeeper_connstrings is empty');
  const url = safekeepers.find((entry) => isUrl.test(entry));
  if (url !== undefined) throw invalid('a safekeeper is given as a URL of another kind, expected host:port');
  const twice = safekeepers.find((entry, at) => safekeepers.indexOf(entry) !== at);
  if (twice !== undefined) throw invalid(`duplicate entry in safekeeper_connstrings: ${twice}!`);
}

function resolveId(text: string | null, what: 'tenant' | 'timeline'): string {
  if (text === null) throw invalid(`${what} id should be provided`);
  if (!/^[0-9a-f]{32}$/i.test(text)) throw invalid(`invalid ${what} id`);
  return text.toLowerCase();
}

const invalid = (message: string): ComputeError => new ComputeError('spec_invalid', message);
