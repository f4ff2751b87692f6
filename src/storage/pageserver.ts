import { parseLibpqUrl } from '../config/libpq.ts';
import { monotonicMs } from '../core/clock.ts';
import type { Secret } from '../core/secret.ts';
import { type PgClient, connectPg, destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import type { Pageserver, PageserverInfo } from '../spec/resolve.ts';
import { FinalError, mayHeal } from './final.ts';

export interface PageserverContext {
  readonly pageserver: PageserverInfo;
  /** Overrides a password of the URL. */
  readonly token: Secret | null;
  readonly mode: 'primary' | 'replica' | 'static';
  /** Milliseconds for connect and authentication, per pageserver, when the URL sets no limit. */
  readonly connectMs: number;
}

export interface PageserverConnection {
  readonly client: PgClient;
  /** `host:port`, for messages. */
  readonly where: string;
  /** Microseconds from the start of the attempt until the server was ready for a command. */
  readonly connectMicros: number;
  /** Milliseconds, of `monotonicMs`. */
  readonly openedMs: number;
  /** False when the server has closed it. */
  alive(): boolean;
  close(): void;
}

/** Connects to the first pageserver of shard 0 that can be reached.
 *  @throws ComputeError `basebackup`; the cause says what went wrong with the last one tried */
export async function connectPageserver(
  context: PageserverContext,
  signal: AbortSignal,
): Promise<PageserverConnection> {
  const startMs = monotonicMs();
  const urls = libpqUrls(context.pageserver);
  for (const [at, url] of urls.entries()) {
    const target = pageserverTarget(url, context);
    const where = `${target.host}:${target.port}`;
    const options = { applicationName: 'compute_ctl', connectMs: target.connectMs, signal };
    try {
      const client = await connectPg(target, options);
      const openedMs = monotonicMs();
      const connectMicros = Math.round((openedMs - startMs) * 1000);
      let ended = false;
      client.once('end', () => (ended = true));
      return { client, where, connectMicros, openedMs, alive: () => !ended, close: () => destroyPg(client) };
    } catch (error) {
      signal.throwIfAborted();
      if (at === urls.length - 1 || !mayHeal(error)) throw error;
    }
  }
  throw new FinalError('basebackup', 'shard 0 has no pageserver');
}

/** @throws ComputeError `basebackup` when only gRPC is offered */
function libpqUrls(info: PageserverInfo): string[] {
  const servers: readonly Pageserver[] = info.shards.get(0) ?? [];
  const urls = servers.map(({ libpqUrl }) => libpqUrl).filter((url) => url !== null);
  if (urls.length > 0) return urls;
  if (servers.some(({ grpcUrl }) => grpcUrl !== null)) {
    throw new FinalError('basebackup', 'the base backup over gRPC is not built yet', {
      hint: 'give the pageserver a libpq_url as well',
    });
  }
  throw new FinalError('basebackup', 'shard 0 has no pageserver with a libpq_url');
}

function pageserverTarget(url: string, context: PageserverContext): PgTarget & { connectMs: number } {
  const target = parseLibpqUrl(url);
  return {
    ...target,
    password: context.token ?? target.password,
    // The pageserver reads it for its traces only.
    options: `-c neon.compute_mode=${context.mode}`,
    connectMs: target.connectTimeoutMs ?? context.connectMs,
  };
}
