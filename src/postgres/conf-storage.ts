import { ComputeError } from '../core/errors.ts';
import { shardKey } from '../spec/pageserver.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { quoteConf } from './conf-syntax.ts';

/** The storage's addresses and ids, from the fields of the spec. Those that are only in `cluster.settings` are written
 *  with the settings. */
export function storageSection(resolved: ResolvedSpec): string[] {
  return ['# Neon storage settings', '', ...pageserver(resolved), ...safekeepers(resolved), ...ids(resolved)];
}

/** The stripe size comes first: the extension reads both when the connection string is assigned. */
function pageserver({ spec, pageserver }: ResolvedSpec): string[] {
  const lines: string[] = [];
  if (spec.pageserver_connection_info !== null) {
    if (pageserver.stripeSize !== null) lines.push(`neon.stripe_size=${pageserver.stripeSize}`);
    const urls = libpqUrls(pageserver);
    // There is no setting for gRPC addresses.
    if (urls !== null) {
      lines.push(
        `neon.pageserver_connstring=${quoteConf(urls.join(','), 'spec.pageserver_connection_info')}`,
      );
    }
    return lines;
  }
  if (spec.shard_stripe_size !== null) lines.push(`neon.stripe_size=${spec.shard_stripe_size}`);
  if (spec.pageserver_connstring !== null) {
    lines.push(
      `neon.pageserver_connstring=${quoteConf(spec.pageserver_connstring.reveal(), 'spec.pageserver_connstring')}`,
    );
  }
  return lines;
}

/** The libpq URL of each shard's first pageserver, by shard number; null when one of them has none. */
function libpqUrls({ shardCount, shards }: ResolvedSpec['pageserver']): string[] | null {
  const urls: string[] = [];
  for (let number = 0; number < Math.max(shardCount, 1); number++) {
    const key = shardKey(number, shardCount);
    const servers = shards.get(number);
    if (servers === undefined)
      throw invalid(`shard ${key} missing from pageserver_connection_info shard map`);
    const [first] = servers;
    if (first === undefined) throw invalid(`pageserver_connection_info: shard ${key} has no pageserver`);
    if (first.libpqUrl === null) return null;
    urls.push(first.libpqUrl);
  }
  return urls;
}

function safekeepers({ spec, safekeepers, safekeepersGeneration }: ResolvedSpec): string[] {
  if (spec.safekeeper_connstrings.length === 0) return [];
  const prefix = safekeepersGeneration === null ? '' : `g#${safekeepersGeneration}:`;
  return [
    `neon.safekeepers=${quoteConf(`${prefix}${safekeepers.join(',')}`, 'spec.safekeeper_connstrings')}`,
  ];
}

function ids({ spec, tenantId, timelineId }: ResolvedSpec): string[] {
  const lines: string[] = [];
  if (spec.tenant_id !== null) lines.push(`neon.tenant_id='${tenantId}'`);
  if (spec.timeline_id !== null) lines.push(`neon.timeline_id='${timelineId}'`);
  for (const name of ['project_id', 'branch_id', 'endpoint_id'] as const) {
    const id = spec[name];
    if (id !== null) lines.push(`neon.${name}=${quoteConf(id, `spec.${name}`)}`);
  }
  return lines;
}

const invalid = (message: string): ComputeError => new ComputeError('spec_invalid', message);
