import * as v from 'valibot';
import { fallback, int, notes, optional, required, secret, uint32 } from './kit.ts';

const Pageserver = v.object({
  id: optional(int(0, Number.MAX_SAFE_INTEGER), 'Node id.'),
  libpq_url: optional(secret(), 'URL for the Postgres protocol.'),
  grpc_url: optional(secret(), 'URL for gRPC, `grpc://host:port`.'),
});

const Shard = v.object({
  pageservers: required(v.array(Pageserver), "The shard's pageservers; the first one is the active one."),
});

export const PageserverConnectionInfo = v.object({
  shard_count: required(int(0, 255), 'Number of shards; 0 means unsharded.'),
  stripe_size: optional(uint32(), 'Pages of one stripe.'),
  shards: required(
    v.record(
      v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/i), notes({ expected: '4 hex digits' }), v.toLowerCase()),
      Shard,
    ),
    'Key: shard number and shard count, two hex digits each; `0000` when unsharded.',
  ),
  prefer_protocol: fallback(v.picklist(['libpq', 'grpc']), 'libpq', 'Protocol for base backups and leases.'),
});
