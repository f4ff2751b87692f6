import { readSpec } from '../../../src/spec/parse.ts';
import { type ResolvedSpec, resolveSpec } from '../../../src/spec/resolve.ts';
import type { ConfContext } from '../../../src/postgres/conf.ts';

export const context: ConfContext = {
  internalHttpPort: 3081,
  privilegedRole: 'neon_superuser',
  tls: false,
  strictOvercommit: false,
  subscriptionsDropped: false,
  serviceLines: [],
  platform: 'linux',
};

/** A small primary; `fields` replace whole fields of the spec, `cluster` fields of the cluster. */
export function resolved(
  fields: Record<string, unknown> = {},
  cluster: Record<string, unknown> = {},
): ResolvedSpec {
  const spec = {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles: [], databases: [], ...cluster },
    tenant_id: '0944cacdd3ab0e452e271ae1e0a73626',
    timeline_id: 'f7ff2504a4cdc90a60f985c58c2001c4',
    pageserver_connstring: 'postgres://no_user@127.0.0.1:64000',
    safekeeper_connstrings: ['127.0.0.1:7676'],
    ...fields,
  };
  return resolveSpec(readSpec(spec).value);
}
