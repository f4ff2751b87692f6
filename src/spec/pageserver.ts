import { ComputeError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ComputeSpec, PageserverConnectionInfo } from './schema.ts';
import { setting } from './setting.ts';

export interface Pageserver {
  readonly id: number | null;
  readonly libpqUrl: string | null;
  readonly grpcUrl: string | null;
}

export interface PageserverInfo {
  /** 0 means unsharded: one shard, number 0. */
  readonly shardCount: number;
  /** Pages of one stripe. */
  readonly stripeSize: number | null;
  /** Key: shard number. The first pageserver of each has the URL of the preferred protocol. */
  readonly shards: ReadonlyMap<number, readonly Pageserver[]>;
  readonly preferProtocol: 'libpq' | 'grpc';
}

const maxShards = 255;

/** An empty URL counts as no URL. */
const revealed = (url: Secret | null): string | null => url?.reveal() || null;

/** Finds the pageservers: in their own object, in the two older fields, or in the cluster's settings.
 *  @throws ComputeError `spec_invalid` */
export function resolvePageserver(spec: ComputeSpec): PageserverInfo {
  if (spec.pageserver_connection_info !== null) return fromInfo(spec.pageserver_connection_info);
  if (spec.pageserver_connstring !== null) {
    return fromList(spec.pageserver_connstring.reveal(), () => spec.shard_stripe_size);
  }
  const list = setting(spec, 'neon.pageserver_connstring');
  if (list === null) throw invalid('pageserver connection information should be provided');
  return fromList(list, () => stripeSize(setting(spec, 'neon.stripe_size')));
}

/** Key of a shard in the map: number and count in two hex digits each. */
export const shardKey = (number: number, count: number): string =>
  (number * 256 + count).toString(16).padStart(4, '0');

function fromInfo(info: PageserverConnectionInfo): PageserverInfo {
  const shards = new Map<number, readonly Pageserver[]>();
  for (let number = 0; number < Math.max(info.shard_count, 1); number++) {
    const key = shardKey(number, info.shard_count);
    const shard = Object.hasOwn(info.shards, key) ? info.shards[key] : undefined;
    if (shard === undefined) throw invalid(`shard ${key} missing from pageserver_connection_info shard map`);
    const [first] = shard.pageservers;
    if (first === undefined) throw invalid(`shard ${key} of pageserver_connection_info has no pageservers`);
    if (revealed(info.prefer_protocol === 'grpc' ? first.grpc_url : first.libpq_url) === null) {
      throw invalid(
        `the first pageserver of shard ${key} has no ${info.prefer_protocol}_url, but pageserver_connection_info prefers ${info.prefer_protocol}`,
      );
    }
    shards.set(
      number,
      shard.pageservers.map((server) => ({
        id: server.id,
        libpqUrl: revealed(server.libpq_url),
        grpcUrl: revealed(server.grpc_url),
      })),
    );
  }
  return {
    shardCount: info.shard_count,
    stripeSize: info.stripe_size,
    shards,
    preferProtocol: info.prefer_protocol,
  };
}

function fromList(list: string, stripe: () => number | null): PageserverInfo {
  const urls = splitConnectionStrings(list);
  if (urls.length > maxShards) {
    throw invalid(`${urls.length} pageserver connection strings, at most ${maxShards} shards are possible`);
  }
  const sharded = urls.length > 1;
  const stripeSize = sharded ? stripe() : null;
  if (sharded && stripeSize === null) throw invalid(`${urls.length} shards but no stripe_size`);
  return {
    shardCount: sharded ? urls.length : 0,
    stripeSize,
    shards: new Map(urls.map((libpqUrl, number) => [number, [{ id: null, libpqUrl, grpcUrl: null }]])),
    preferProtocol: 'libpq',
  };
}

const startsString = /^\s*(?:\w+:\/\/|\w+\s*=)/;

/** Splits at commas, but not inside a connection string that names several hosts (`host=a,b port=1`). */
function splitConnectionStrings(list: string): string[] {
  const parts = list.split(',');
  if (!startsString.test(list)) return parts.map((part) => part.trim());
  const strings: string[] = [];
  for (const part of parts) {
    if (startsString.test(part)) strings.push(part);
    else strings.push(`${strings.pop()},${part}`);
  }
  return strings.map((text) => text.trim());
}

function stripeSize(text: string | null): number | null {
  if (text === null) return null;
  const pages = Number(text);
  if (!/^\d+$/.test(text.trim()) || pages > 0xffff_ffff) {
    throw invalid(`setting neon.stripe_size: expected integer from 0 to 4294967295, found "${text}"`);
  }
  return pages;
}

const invalid = (message: string): ComputeError => new ComputeError('spec_invalid', message);
