import { ComputeError } from '../core/errors.ts';

/** An error status that a pageserver returned over gRPC. */
export class GrpcError extends ComputeError {
  /** Name of the status, e.g. `NOT_FOUND`. */
  readonly status: string;

  constructor(status: string, details: string) {
    super('pageserver', `${status}: ${details}`);
    this.status = status;
  }
}

/** Statuses that the same request would get again; all others are retryable.
 *  @see https://grpc.io/docs/guides/status-codes/ */
export const notRetryableStatuses: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'UNIMPLEMENTED',
]);
