import { readKeys } from '../../http/keys.ts';
import { parseLibpqUrl } from '../../pg/libpq.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';
import type { ComputeCtlConfig } from '../../spec/schema.ts';
import { parseGrpcUrl } from '../../storage/grpc.ts';
import { safekeeperTarget } from '../../storage/safekeepers.ts';
import { type Finding, type Findings, errors, together, tried, warnings } from './finding.ts';

const knownFormat = 1;

/** Tokens can be verified. A compute that waits for its first spec cannot do without.
 *  @param waits whether the config has no spec */
export async function checkKeys({ jwks }: ComputeCtlConfig, waits: boolean): Promise<Findings> {
  const leftOut: Finding[] = [];
  const { keys } = await readKeys(jwks, (kid, text) =>
    leftOut.push({ text: kid === null ? text : `${text} (kid ${JSON.stringify(kid)})` }),
  );
  if (keys.length > 0) return warnings(...leftOut);
  const which = jwks.keys.length === 0 ? 'the key set is empty' : 'no key of the key set can be used';
  const finding = {
    text: waits
      ? `${which}, so nobody can send the spec that the compute would wait for`
      : `${which}, so every request to the external HTTP server is answered with 401`,
    hint: 'put an Ed25519 or RS256 public key into compute_ctl_config.jwks.keys, or give --jwks',
  };
  const serious = waits || jwks.keys.length > 0;
  return together([warnings(...leftOut), serious ? errors(finding) : warnings(finding)]);
}

/** Every address can be read. Nothing is connected to. */
export async function checkAddresses(resolved: ResolvedSpec): Promise<Findings> {
  const { pageserver, safekeepers, spec, tenantId, timelineId } = resolved;
  const of = [...pageserver.shards].flatMap(([shard, servers]) => servers.map((one) => ({ shard, ...one })));
  const where = (shard: number): string => `the pageserver of shard ${shard}: `;
  const token = spec.storage_auth_token;
  return together(
    await Promise.all([
      ...of.flatMap(({ shard, libpqUrl, grpcUrl }) => [
        ...(libpqUrl === null ? [] : [tried(() => parseLibpqUrl(libpqUrl), where(shard))]),
        ...(grpcUrl === null ? [] : [tried(() => parseGrpcUrl(grpcUrl), where(shard))]),
      ]),
      ...safekeepers.map((entry, at) =>
        tried(() => safekeeperTarget(entry, { token, tenantId, timelineId }), `safekeeper ${at + 1}: `),
      ),
    ]),
  );
}

export function checkFormat({ spec }: ResolvedSpec): Findings {
  const { format_version: version } = spec;
  if (Math.trunc(version) === knownFormat) return errors();
  return warnings({
    text: `spec.format_version is ${version}; this version of compute_ctl knows ${knownFormat}.x and ignores what is new`,
  });
}
