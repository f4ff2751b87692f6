import { ComputeError } from '../core/errors.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import { GrpcError, notRetryableStatuses } from './grpc-error.ts';

/** Pageserver errors that are not retryable, since the same request would fail again. Elsewhere SQLSTATEs decide, but a
 *  pageserver uses XX000 for nearly all errors, so its message texts must be matched: of the simple and of the extended
 *  protocol. */
const notRetryableWords: readonly RegExp[] = [
  // The tenant, timeline or shard does not exist, or the timeline is archived.
  /^not found$/,
  /^Not found: /,
  /^JWT authentication error/,
  /^Unauthorized: /,
  /^must connect with TLS$/,
  // The LSN is below the GC cutoff.
  /^invalid basebackup lsn/,
  /^(?:invalid|duplicate) parameter for basebackup command/,
];

/** A malformed connection string, an unreadable file of trusted issuers, a disk that is full or not writable. */
const notRetryableCodes: ReadonlySet<string> = new Set(['connstr', 'pgdata_refused', 'tls']);

/** Node's error codes for a certificate that it does not trust. */
const untrusted = /^(?:ERR_TLS_|CERT_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|UNABLE_TO_)/;
/** The same over gRPC, which passes on only the messages of OpenSSL and Node. */
const untrustedByGrpc =
  /Last error: .*(?:self-signed certificate|certificate has expired|certificate is not yet valid|issuer certificate|verify the first certificate|does not match certificate's altnames)/;
/** The driver's message for a server without TLS. */
const noTls = 'The server does not support SSL connections';

const isNotRetryable = ({ status, message }: GrpcError): boolean =>
  notRetryableStatuses.has(status) || untrustedByGrpc.test(message);

/** False when a retry would only fail again: wrong address, credentials or names, a hostile archive, a full disk.
 *  SQLSTATE class 28 is a failed log-in, from any server. */
export function isRetryable(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof NotRetryable) return false;
    const { code, message } = current as Error & { code?: unknown };
    if (current instanceof GrpcError && isNotRetryable(current)) return false;
    if (message === noTls) return false;
    if (typeof code !== 'string') continue;
    if (current instanceof ComputeError ? notRetryableCodes.has(code) : code.startsWith('28')) return false;
    if (untrusted.test(code)) return false;
    if (code === 'XX000' && notRetryableWords.some((words) => words.test(message))) return false;
  }
  return true;
}
