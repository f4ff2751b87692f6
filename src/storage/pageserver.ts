import { parseLibpqUrl } from '../pg/libpq.ts';
import { monotonicMs } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { type Lsn, formatLsn, noLsn } from '../core/lsn.ts';
import type { Secret } from '../core/secret.ts';
import { connectPg, destroyPg } from '../pg/client.ts';
import { shardKey } from '../spec/pageserver.ts';
import type { Pageserver, PageserverInfo } from '../spec/resolve.ts';
import { type ArchiveStream, watchStream } from '../tar/archive-stream.ts';
import { receiveCopy } from './copy-out.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import { isRetryable } from './retryable.ts';
import { connectGrpc } from './grpc.ts';
import { backupLimits } from './limits.ts';
import { decodeChunk, encodeBaseBackupRequest, method } from './page-api.ts';

export interface PageserverContext {
  readonly pageserver: PageserverInfo;
  readonly tenantId: string;
  readonly timelineId: string;
  /** Overrides the URL's password. */
  readonly token: Secret | null;
  readonly mode: 'primary' | 'replica' | 'static';
  /** Milliseconds for connect and authentication, per pageserver, when the URL sets no limit. */
  readonly connectMs: number;
}

export interface PageserverConnection {
  /** `host:port`, for messages. */
  readonly where: string;
  /** Microseconds from the start of the attempt until the server was ready for a command. */
  readonly connectMicros: number;
  /** Milliseconds, of `monotonicMs`. */
  readonly openedMs: number;
  /** False when the server has closed it. */
  alive(): boolean;
  /** Requests a base backup at `lsn`, `0/0` for the latest. */
  basebackup(lsn: Lsn, idleMs: number, signal: AbortSignal): Promise<ArchiveStream>;
  close(): void;
}

type Open = Omit<PageserverConnection, 'connectMicros' | 'openedMs'>;
type Protocol = PageserverInfo['preferProtocol'];

/** Connects to the first pageserver of shard 0 that can be reached over the preferred protocol; if there is none, over the
 *  other protocol.
 *  @throws ComputeError; the cause is the failure of the last attempt, the message names the earlier ones */
export async function connectPageserver(
  context: PageserverContext,
  signal: AbortSignal,
): Promise<PageserverConnection> {
  const startMs = monotonicMs();
  const failures: unknown[] = [];
  for (const { protocol, url } of candidates(context.pageserver)) {
    try {
      const open = await (protocol === 'grpc' ? openGrpc : openLibpq)(url, context, signal);
      const openedMs = monotonicMs();
      return { ...open, openedMs, connectMicros: Math.round((openedMs - startMs) * 1000) };
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
      if (!isRetryable(error)) break;
    }
  }
  if (failures.length < 2) throw failures[0] ?? new NotRetryable('basebackup', 'shard 0 has no pageserver');
  const last = failures.pop();
  const earlier = failures.map(explained).join('; ');
  throw new ComputeError('pageserver', `no pageserver could be reached (earlier attempts: ${earlier})`, {
    cause: last,
  });
}

function candidates({ shards, preferProtocol }: PageserverInfo): { protocol: Protocol; url: string }[] {
  const servers: readonly Pageserver[] = shards.get(0) ?? [];
  const order: readonly Protocol[] = preferProtocol === 'grpc' ? ['grpc', 'libpq'] : ['libpq', 'grpc'];
  return order.flatMap((protocol) =>
    servers.flatMap(({ libpqUrl, grpcUrl }) => {
      const url = protocol === 'grpc' ? grpcUrl : libpqUrl;
      return url === null ? [] : [{ protocol, url }];
    }),
  );
}

async function openLibpq(url: string, context: PageserverContext, signal: AbortSignal): Promise<Open> {
  const target = parseLibpqUrl(url, 'connection string of the pageserver in the spec');
  const connectMs = target.connectTimeoutMs ?? context.connectMs;
  const client = await connectPg(
    {
      ...target,
      password: context.token ?? target.password,
      // The pageserver uses it only for its traces.
      options: `-c neon.compute_mode=${context.mode}`,
    },
    { applicationName: 'compute_ctl', connectMs, limits: backupLimits, signal },
  );
  let ended = false;
  client.once('end', () => (ended = true));
  return {
    where: `${target.host}:${target.port}`,
    alive: () => !ended,
    basebackup: (lsn, idleMs, signal) => receiveCopy(client, basebackupCommand(context, lsn), idleMs, signal),
    close: () => destroyPg(client),
  };
}

async function openGrpc(url: string, context: PageserverContext, signal: AbortSignal): Promise<Open> {
  const connection = await connectGrpc(url, context.connectMs, signal);
  const { tenantId, timelineId, token, pageserver } = context;
  const metadata = { tenantId, timelineId, token, shard: shardKey(0, pageserver.shardCount) };
  return {
    where: connection.where,
    alive: () => connection.alive(),
    close: () => connection.close(),
    async basebackup(lsn, idleMs, signal) {
      const request = encodeBaseBackupRequest({ lsn, replica: context.mode !== 'primary' });
      const { messages, onEnd, cut } = connection.serverStream(method.getBaseBackup, request, metadata);
      const chunks = async function* (): AsyncGenerator<Buffer> {
        for await (const message of messages) yield decodeChunk(message);
      };
      return watchStream({ chunks: chunks(), onEnd, cut }, idleMs, signal);
    },
  };
}

/** The command for the pageserver over libpq, e.g. `basebackup T L 0/169B1D8 --gzip`. */
export function basebackupCommand(
  { tenantId, timelineId, mode }: Pick<PageserverContext, 'tenantId' | 'timelineId' | 'mode'>,
  lsn: Lsn,
): string {
  const position = lsn === noLsn ? [] : [formatLsn(lsn)];
  const flags = mode === 'primary' ? ['--gzip'] : ['--gzip', '--replica'];
  return ['basebackup', tenantId, timelineId, ...position, ...flags].join(' ');
}
