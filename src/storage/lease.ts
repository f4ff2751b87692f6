import { parseLibpqUrl } from '../pg/libpq.ts';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type Lsn, formatLsn } from '../core/lsn.ts';
import type { Secret } from '../core/secret.ts';
import { type PgClient, connectPg, destroyPg } from '../pg/client.ts';
import { shardKey } from '../spec/pageserver.ts';
import type { Pageserver, PageserverInfo } from '../spec/resolve.ts';
import { GrpcError } from './grpc-error.ts';
import { connectGrpc } from './grpc.ts';
import { answerLimits } from './limits.ts';
import { decodeLease, encodeLeaseRequest, method } from './page-api.ts';

export interface LeaseRequest {
  readonly pageserver: PageserverInfo;
  /** Overrides the URL's password. */
  readonly token: Secret | null;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  /** Milliseconds for one pageserver, connect and request together. */
  readonly limitMs: number;
}

/** The end of the lease in milliseconds since 1970, or that a pageserver refused it. */
export type LeaseAnswer = number | 'refused';

/** Requests a lease from every pageserver of every shard: they then keep the data that reads at this LSN need.
 *  @returns the earliest end of all leases; `refused` when one pageserver refuses, or when there is no pageserver
 *  @throws ComputeError for the first pageserver that fails */
export async function leaseLsn(request: LeaseRequest, signal: AbortSignal): Promise<LeaseAnswer> {
  const { shards, shardCount, preferProtocol } = request.pageserver;
  let earliest = Infinity;
  for (const [number, servers] of shards) {
    for (const server of servers) {
      const shard = shardKey(number, shardCount);
      const address = addressOf(server, preferProtocol, shard);
      const ask = address.grpc ? askGrpc : askLibpq;
      const answer = await withDeadline('the lease', request.limitMs, signal, (limited) =>
        ask(address.url, shard, request, limited),
      );
      if (answer === 'refused') return answer;
      earliest = Math.min(earliest, answer);
    }
  }
  return earliest === Infinity ? 'refused' : earliest;
}

function addressOf(
  { libpqUrl, grpcUrl }: Pageserver,
  prefer: PageserverInfo['preferProtocol'],
  shard: string,
): { url: string; grpc: boolean } {
  if (grpcUrl !== null && (prefer === 'grpc' || libpqUrl === null)) return { url: grpcUrl, grpc: true };
  if (libpqUrl !== null) return { url: libpqUrl, grpc: false };
  throw new ComputeError('pageserver', `a pageserver of shard ${shard} has no address`);
}

async function askLibpq(
  url: string,
  shard: string,
  { token, tenantId, timelineId, lsn, limitMs, pageserver }: LeaseRequest,
  signal: AbortSignal,
): Promise<LeaseAnswer> {
  const target = parseLibpqUrl(url, `connection string of a pageserver of shard ${shard} in the spec`);
  const where = `${target.host}:${target.port}`;
  let client: PgClient | null = null;
  try {
    client = await connectPg(
      { ...target, password: token ?? target.password },
      { applicationName: 'compute_ctl', connectMs: limitMs, limits: answerLimits, signal },
    );
    const tenantShard = pageserver.shardCount === 0 ? tenantId : `${tenantId}-${shard}`;
    const command = `lease lsn ${tenantShard} ${timelineId} ${formatLsn(lsn)}`;
    const { rows } = await client.query<{ valid_until?: string | null }>(command);
    const until = rows[0]?.valid_until;
    if (until === null) return 'refused';
    if (until !== undefined && /^\d{1,16}$/.test(until)) return Number(until);
    throw new Error(`the answer to "${command}" is not a time in milliseconds`);
  } catch (cause) {
    signal.throwIfAborted();
    throw new ComputeError('pageserver', `pageserver ${where} did not lease LSN ${formatLsn(lsn)}`, {
      cause,
    });
  } finally {
    if (client !== null) destroyPg(client);
  }
}

async function askGrpc(
  url: string,
  shard: string,
  { token, tenantId, timelineId, lsn, limitMs }: LeaseRequest,
  signal: AbortSignal,
): Promise<LeaseAnswer> {
  const connection = await connectGrpc(url, limitMs, signal);
  try {
    const metadata = { tenantId, timelineId, token, shard };
    const answer = await connection.unary(method.leaseLsn, encodeLeaseRequest(lsn), metadata, signal);
    const expires = decodeLease(answer);
    if (expires === null) throw new Error('the answer does not say when the lease ends');
    return expires;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof GrpcError && cause.status === 'FAILED_PRECONDITION') return 'refused';
    throw new ComputeError(
      'pageserver',
      `pageserver ${connection.where} did not lease LSN ${formatLsn(lsn)}`,
      {
        cause,
      },
    );
  } finally {
    connection.close();
  }
}
