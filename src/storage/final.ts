import { ComputeError } from '../core/errors.ts';
import { FinalError } from '../core/final-error.ts';
import { GrpcError, finalStatuses } from './grpc-error.ts';

/** What a pageserver says when repeating the question is no use. It has one SQLSTATE, XX000, for nearly everything, so
 *  its fixed words have to do: those of the simple protocol, and those of the extended one. */
const finalWords: readonly RegExp[] = [
  // Tenant, timeline or shard is not there, or the timeline is archived.
  /^not found$/,
  /^Not found: /,
  /^JWT authentication error/,
  /^Unauthorized: /,
  /^must connect with TLS$/,
  // The LSN is below what garbage collection has kept.
  /^invalid basebackup lsn/,
  /^(?:invalid|duplicate) parameter for basebackup command/,
];

/** Malformed connection strings, trusted issuers that cannot be read, and a disk that is full or not writable. */
const finalCodes: ReadonlySet<string> = new Set(['connstr', 'pgdata_refused', 'tls']);

/** What Node says of a certificate that is no good, and the driver of a server that has none. */
const untrusted = /^(?:ERR_TLS_|CERT_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|UNABLE_TO_)/;
/** The same over gRPC, which passes on no more than the words of OpenSSL and Node. */
const untrustedByGrpc =
  /Last error: .*(?:self-signed certificate|certificate has expired|certificate is not yet valid|issuer certificate|verify the first certificate|does not match certificate's altnames)/;
const noTls = 'The server does not support SSL connections';

const isFinal = ({ status, message }: GrpcError): boolean =>
  finalStatuses.has(status) || untrustedByGrpc.test(message);

/** False when a retry is no use: wrong address, credentials or names, a hostile archive, a full disk.
 *  SQLSTATE class 28 is a failed log-in wherever it comes from. */
export function mayHeal(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof FinalError) return false;
    const { code, message } = current as Error & { code?: unknown };
    if (current instanceof GrpcError && isFinal(current)) return false;
    if (message === noTls) return false;
    if (typeof code !== 'string') continue;
    if (current instanceof ComputeError ? finalCodes.has(code) : code.startsWith('28')) return false;
    if (untrusted.test(code)) return false;
    if (code === 'XX000' && finalWords.some((words) => words.test(message))) return false;
  }
  return true;
}
