import { ComputeError } from './errors.ts';

/** A failure that the next attempt would only repeat. */
export class FinalError extends ComputeError {}
