import { formatLsn } from '../core/lsn.ts';
import type { Pageserver, ResolvedSpec } from '../spec/resolve.ts';
import type { ComputeCtlConfig, GenericOption, Jwk } from '../spec/schema.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Options } from '../config/options.ts';
import type { Findings } from './checks/finding.ts';
import { addresses, shownOption, specJson } from './check-shown.ts';

/** What was found, and what follows from it. */
export interface Verdict extends Findings {
  readonly verdict: 'valid' | 'warnings' | 'invalid';
}

/** What `compute_ctl check` prints: the config with all values derived from it, and what is wrong with it. A `Secret` is shown as `***`; addresses
 *  and settings may contain a secret, so only their parts that are known not to be secret are shown. */
export function renderCheck(loaded: LoadedConfig, options: Options, found: Verdict, json: boolean): string {
  return json ? JSON.stringify(asJson(loaded, options, found), null, 2) : asText(loaded, options, found);
}

function asJson(loaded: LoadedConfig, options: Options, found: Verdict): unknown {
  const { spec } = loaded;
  return {
    verdict: found.verdict,
    errors: found.errors,
    warnings: found.warnings,
    unchecked: found.unchecked,
    source: loaded.source,
    compute_id: options.computeId,
    live_config_allowed: loaded.liveConfigAllowed,
    resolved: spec === null ? null : resolvedJson(spec),
    spec: spec === null ? null : specJson(spec.spec),
    compute_ctl_config: configJson(loaded.config),
    notes: loaded.notes,
  };
}

const resolvedJson = (spec: ResolvedSpec): unknown => ({
  mode: spec.mode.kind,
  static_lsn: spec.mode.kind === 'static' ? formatLsn(spec.mode.lsn) : null,
  tenant_id: spec.tenantId,
  timeline_id: spec.timelineId,
  pageserver: {
    shard_count: spec.pageserver.shardCount,
    stripe_size: spec.pageserver.stripeSize,
    prefer_protocol: spec.pageserver.preferProtocol,
    shards: Object.fromEntries(
      [...spec.pageserver.shards].map(([at, servers]) => [at, servers.map(addresses)]),
    ),
  },
  safekeepers: spec.safekeepers,
  safekeepers_generation: spec.safekeepersGeneration,
  endpoint_storage: spec.endpointStorage,
  extension_stats_seconds: spec.extensionStatsSeconds,
});

/** Only the members of a key that identify it: the others may be private. */
const configJson = ({ jwks, tls }: ComputeCtlConfig): unknown => ({
  jwks: { keys: jwks.keys.map(({ kty, crv, alg, use, kid }) => ({ kty, crv, alg, use, kid })) },
  tls,
});

function asText(loaded: LoadedConfig, options: Options, found: Verdict): string {
  const { spec, config } = loaded;
  const rows: [string, string][] = [
    ['source', loaded.source],
    ['compute id', options.computeId ?? 'none'],
    ['live configuration', loaded.liveConfigAllowed ? 'allowed' : 'not allowed'],
    ['keys', config.jwks.keys.map(keyText).join(', ') || 'none'],
    ['tls', config.tls === null ? 'none' : `${config.tls.cert_path}, ${config.tls.key_path}`],
    ...(spec === null ? [['spec', 'none: the compute starts empty'] as [string, string]] : specRows(spec)),
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}${value}`);
  return [
    ...lines,
    ...found.unchecked.map((text) => `not checked: ${text}`),
    ...found.warnings.map(({ text, hint }) => `warning: ${text}${hint === undefined ? '' : ` (${hint})`}`),
    sentence(found),
  ].join('\n');
}

const sentence = ({ verdict, errors, warnings }: Verdict): string =>
  ({
    valid: 'valid',
    warnings: `valid, with ${counted(warnings.length, 'warning')}`,
    invalid: `invalid: ${counted(errors.length, 'error')}`,
  })[verdict];

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const keyText = ({ kty, kid }: Jwk): string => `${kty} ${typeof kid === 'string' ? kid : 'without kid'}`;

function specRows({ spec, ...resolved }: ResolvedSpec): [string, string][] {
  const { mode, pageserver, endpointStorage } = resolved;
  const generation = resolved.safekeepersGeneration;
  const stripes = pageserver.stripeSize === null ? '' : `, stripes of ${pageserver.stripeSize} pages`;
  return [
    ['mode', mode.kind === 'static' ? `static at ${formatLsn(mode.lsn)}` : mode.kind],
    ['tenant', resolved.tenantId],
    ['timeline', resolved.timelineId],
    ['shards', `${pageserver.shardCount || 'unsharded'}${stripes}, by ${pageserver.preferProtocol}`],
    ...[...pageserver.shards].map(([at, servers]): [string, string] => [
      `pageserver ${at}`,
      describe(servers),
    ]),
    ['safekeepers', resolved.safekeepers.join(', ') || 'none'],
    ['generation', generation === null ? 'none' : String(generation)],
    ['storage token', spec.storage_auth_token === null ? 'none' : 'given'],
    ['endpoint storage', endpointStorage.addr ?? 'none'],
    ['features', spec.features.join(', ') || 'none'],
    ['catalog', spec.skip_pg_catalog_updates ? 'not changed' : 'changed to match the spec'],
    ['roles', names(spec.cluster.roles)],
    ['databases', names(spec.cluster.databases)],
    ...(spec.cluster.settings ?? []).map(settingRow),
  ];
}

const settingRow = (setting: GenericOption): [string, string] => [
  `setting ${setting.name}`,
  shownOption(setting).value ?? 'without value',
];

const describe = (servers: readonly Pageserver[]): string =>
  servers
    .map(addresses)
    .map(({ libpqUrl, grpcUrl }) => [libpqUrl, grpcUrl].filter(Boolean).join(' or '))
    .join('; ');

const names = (list: readonly { readonly name: string }[]): string =>
  list.length === 0 ? 'none' : `${list.length}: ${list.map(({ name }) => JSON.stringify(name)).join(', ')}`;
