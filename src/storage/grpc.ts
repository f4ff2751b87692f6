import type grpcModule from '@grpc/grpc-js';
import type { Client, Metadata, ServiceError } from '@grpc/grpc-js';
import { raceAbort, withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { StreamSource } from '../tar/archive-stream.ts';
import { GrpcError } from './grpc-error.ts';
import { method } from './page-api.ts';

/** A channel to one pageserver. */
export interface GrpcConnection {
  /** `host:port`, for messages. */
  readonly where: string;
  /** False when the server has closed it. */
  alive(): boolean;
  /** @throws GrpcError */
  unary(path: string, message: Buffer, metadata: GrpcMetadata, signal: AbortSignal): Promise<Buffer>;
  serverStream(path: string, message: Buffer, metadata: GrpcMetadata): GrpcStream;
  /** Also cancels the running calls. */
  close(): void;
}

/** Messages in the order of their arrival. `onEnd` and `cut` work as in `StreamSource`. */
export interface GrpcStream extends Pick<StreamSource, 'onEnd' | 'cut'> {
  readonly messages: AsyncIterable<Buffer>;
}

/** Identifies the data that a call is about, and the caller. */
export interface GrpcMetadata {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Four hex digits. */
  readonly shard: string;
  readonly token: Secret | null;
}

export interface GrpcAddress {
  /** `host:port`, IPv6 in brackets. */
  readonly where: string;
  readonly tls: boolean;
}

/** Parses `grpc://host:port` (default port 80) or `grpcs://host:port` (default 443). A user or path is ignored.
 *  @throws ComputeError `connstr` */
export function parseGrpcUrl(text: string): GrpcAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['grpc:', 'grpcs:'].includes(url.protocol) || url.hostname === '') {
    throw new ComputeError(
      'connstr',
      'grpc_url of a pageserver in the spec is not a grpc:// or grpcs:// URL',
      {
        hint: 'write it as grpc://host:port',
      },
    );
  }
  const tls = url.protocol === 'grpcs:';
  return { where: `${url.hostname}:${url.port || (tls ? 443 : 80)}`, tls };
}

const options = {
  // Archives are large; with a smaller window the sender would have to wait.
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
  // The real ones send 256 KiB at a time. What is longer is refused by its length, before it arrives.
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  // Megabytes that a connection may keep.
  'grpc-node.max_session_memory': 32,
  // Retries are ours: the caller knows what is retryable.
  'grpc.enable_retries': 0,
  // No backoff from an earlier channel to the same server, no look-ups except for the address, no proxy.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
};

/** Loads gRPC on first use, which takes longer than to connect: a start with a pageserver that speaks it begins early. */
export const loadGrpc = () => import('@grpc/grpc-js');

/** Opens an HTTP/2 connection; gRPC has no log-in.
 *  @throws ComputeError `pageserver` naming the address */
export async function connectGrpc(
  url: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<GrpcConnection> {
  const { where, tls } = parseGrpcUrl(url);
  const { default: grpc } = await loadGrpc();
  const credentials = tls ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
  const client = new grpc.Client(where, credentials, options);
  try {
    await withDeadline('the connection', limitMs, signal, () => ready(grpc, client));
  } catch (error) {
    client.close();
    signal.throwIfAborted();
    throw new ComputeError('pageserver', `could not connect to ${where} over gRPC`, { cause: error });
  }
  const calls = new Set<{ cancel(): void }>();
  const channel = client.getChannel();
  return {
    where,
    alive: () => channel.getConnectivityState(false) === grpc.connectivityState.READY,
    async unary(path, message, metadata, signal) {
      const sent = metadataOf(grpc, metadata);
      let call: { cancel(): void } | null = null;
      const answered = new Promise<Buffer>((resolve, reject) => {
        call = client.makeUnaryRequest(path, same, same, message, sent, (error, value) =>
          error === null && value !== undefined ? resolve(value) : reject(explain(grpc, error)),
        );
      });
      try {
        return await raceAbort(answered, signal);
      } finally {
        (call as { cancel(): void } | null)?.cancel();
      }
    },
    serverStream(path, message, metadata) {
      const call = client.makeServerStreamRequest(path, same, same, message, metadataOf(grpc, metadata));
      calls.add(call);
      call.on('error', () => {});
      return {
        messages: call,
        onEnd(listener) {
          call.on('error', (error) => listener(explain(grpc, error)));
          call.on('status', ({ code }) => {
            if (code === grpc.status.OK) listener(null);
          });
        },
        cut: () => call.cancel(),
      };
    },
    close() {
      for (const call of calls) call.cancel();
      client.close();
    },
  };
}

type GrpcModule = typeof grpcModule;

const same = (bytes: Buffer): Buffer => bytes;

/** Resolves when the channel can be used; rejects at the first failure (gRPC itself would retry). */
function ready(grpc: GrpcModule, client: Client): Promise<void> {
  const channel = client.getChannel();
  const { READY, TRANSIENT_FAILURE, SHUTDOWN } = grpc.connectivityState;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === READY || state === SHUTDOWN) resolve();
      else if (state === TRANSIENT_FAILURE) whyNot(grpc, client).then(reject, reject);
      else channel.watchConnectivityState(state, Infinity, look);
    };
    look();
  });
}

/** The reason why there is no connection; gRPC reports it only to a call. If the call succeeds in connecting, the server
 *  refuses it, since it has no metadata. */
const whyNot = (grpc: GrpcModule, client: Client): Promise<unknown> =>
  new Promise((resolve) => {
    client.makeUnaryRequest(method.leaseLsn, same, same, Buffer.alloc(0), (error) =>
      resolve(explain(grpc, error)),
    );
  });

function metadataOf(grpc: GrpcModule, { tenantId, timelineId, shard, token }: GrpcMetadata): Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('neon-tenant-id', tenantId);
  metadata.set('neon-timeline-id', timelineId);
  metadata.set('neon-shard-id', shard);
  if (token === null) return metadata;
  // The library's own error would contain the whole token.
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    throw new GrpcError('UNAUTHENTICATED', 'the storage token contains invalid characters');
  }
  metadata.set('authorization', `Bearer ${token.reveal()}`);
  return metadata;
}

function explain(grpc: GrpcModule, error: Partial<ServiceError> | null): unknown {
  if (error === null) return new GrpcError('INTERNAL', 'the answer is empty');
  if (error.code === undefined) return error;
  return new GrpcError(grpc.status[error.code] ?? String(error.code), (error.details ?? '').slice(0, 1000));
}
