import { ComputeError } from './errors.ts';

/** A failure that is not retryable: the next attempt would only repeat it. */
export class NotRetryable extends ComputeError {}
