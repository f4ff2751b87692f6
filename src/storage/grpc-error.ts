import { ComputeError } from '../core/errors.ts';

/** What a pageserver answered over gRPC in place of what it was asked for. */
export class GrpcError extends ComputeError {
  /** Name of the status, e.g. `NOT_FOUND`. */
  readonly status: string;

  constructor(status: string, details: string) {
    super('pageserver', `${status}: ${details}`);
    this.status = status;
  }
}

/** Statuses that the same question will meet again: the rest is trouble that passes.
 *  @see https://grpc.io/docs/guides/status-codes/ */
export const notRetryableStatuses: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'UNIMPLEMENTED',
]);
