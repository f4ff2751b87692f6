import { once } from 'node:events';
import grpc from '@grpc/grpc-js';
import { method } from '../../src/storage/page-api.ts';

/** A double of the pageserver's gRPC service that misbehaves on request. Its script may be changed while it runs. */
export interface GrpcScript {
  /** What a base backup sends; see `makeTarball`, `truncated`, `corrupted`. */
  tarball: Buffer;
  /** Asked for as a bearer token; left out: none is asked for. */
  token?: string;
  /** What `error-…` reports, and a lease with the fault `error`. Default: INTERNAL `injected`. */
  error?: { status: keyof typeof grpc.status; details: string };
  fault?:
    | 'silent'
    | 'error-before'
    | 'error-middle'
    | 'error-after'
    | 'cut-middle'
    | 'stall-middle'
    | 'no-chunks'
    | 'garbage';
  /** The fault applies to the first so many calls only. */
  faults?: number;
  /** Default 262144, as the real one. */
  chunkBytes?: number;
  /** Milliseconds from now until a lease ends, or a status it is refused with. Default: 600000. */
  lease?: number | keyof typeof grpc.status;
}

export interface GrpcCall {
  readonly method: 'GetBaseBackup' | 'LeaseLsn';
  readonly request: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FakeGrpc {
  script: GrpcScript;
  readonly port: number;
  /** `grpc://no_user@127.0.0.1:port` */
  readonly url: string;
  readonly calls: GrpcCall[];
  stop(): void;
}

type Streaming = grpc.ServerWritableStream<Buffer, Buffer>;

export async function startFakeGrpc(
  script: GrpcScript,
  credentials: grpc.ServerCredentials = grpc.ServerCredentials.createInsecure(),
): Promise<FakeGrpc> {
  const calls: GrpcCall[] = [];
  const same = (bytes: Buffer): Buffer => bytes;
  const note = (
    name: GrpcCall['method'],
    call: { request: Buffer; metadata: grpc.Metadata },
  ): grpc.ServerErrorResponse | null => {
    const metadata = Object.fromEntries(
      Object.entries(call.metadata.getMap()).map(([key, value]) => [key, String(value)]),
    );
    calls.push({ method: name, request: call.request, metadata });
    const { token } = fake.script;
    if (token === undefined) return null;
    if (metadata['authorization'] === undefined)
      return failed('UNAUTHENTICATED', 'missing authorization header');
    if (metadata['authorization'] === `Bearer ${token}`) return null;
    return failed('INVALID_ARGUMENT', 'invalid JWT token');
  };
  const definition = (path: string, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> => ({
    path,
    requestStream: false,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  const server = new grpc.Server();
  server.addService(
    {
      GetBaseBackup: definition(method.getBaseBackup, true),
      LeaseLsn: definition(method.leaseLsn, false),
    },
    {
      GetBaseBackup(call: Streaming) {
        const refused = note('GetBaseBackup', call);
        if (refused !== null) call.emit('error', refused);
        else void backup(call, fake);
      },
      LeaseLsn(call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) {
        const refused = note('LeaseLsn', call);
        const { lease = 600_000 } = fake.script;
        if (refused !== null) answer(refused);
        else if (typeof lease === 'string') answer(failed(lease, 'injected'));
        else answer(null, leaseResponse(Date.now() + lease));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  const url = `grpc://no_user@127.0.0.1:${port}`;
  const fake: FakeGrpc = { script, port, url, calls, stop: () => server.forceShutdown() };
  return fake;
}

async function backup(call: Streaming, fake: FakeGrpc): Promise<void> {
  const { script } = fake;
  const { faults = Infinity, tarball, chunkBytes = 262_144 } = script;
  const fault = fake.calls.length <= faults ? script.fault : undefined;
  const error = failed(script.error?.status ?? 'INTERNAL', script.error?.details ?? 'injected');
  if (fault === 'silent') return;
  if (fault === 'error-before') return void call.emit('error', error);
  if (fault === 'no-chunks') return void call.end();
  if (fault === 'garbage') {
    call.write(Buffer.from([0x0a, 0x7f, 1]));
    return void call.end();
  }
  const bytes = fault?.endsWith('-middle') === true ? tarball.subarray(0, tarball.length / 2) : tarball;
  for (let at = 0; at < bytes.length && !call.cancelled; at += chunkBytes) {
    if (!call.write(chunkOf(bytes.subarray(at, at + chunkBytes)))) await once(call, 'drain').catch(() => {});
  }
  if (fault === 'stall-middle') return;
  if (fault === 'cut-middle') return fake.stop();
  if (fault === 'error-middle' || fault === 'error-after') call.emit('error', error);
  else call.end();
}

const failed = (status: keyof typeof grpc.status, details: string): grpc.ServerErrorResponse =>
  Object.assign(new Error(details), { code: grpc.status[status], details });

/** `GetBaseBackupResponseChunk { chunk = bytes }` */
function chunkOf(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, ...varint(bytes.length)]), bytes]);
}

/** `LeaseLsnResponse { expires { seconds, nanos } }` */
export function leaseResponse(ms: number): Buffer {
  const timestamp = [0x08, ...varint(Math.floor(ms / 1000)), 0x10, ...varint((ms % 1000) * 1e6)];
  return Buffer.from([0x0a, ...varint(timestamp.length), ...timestamp]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}
