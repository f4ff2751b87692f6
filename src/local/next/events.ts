import type { Copied } from '../storage/copying.ts';
import type { Way } from './template.ts';

/** What the process that prepares says on its stdout; all but `preparing` are the last line. */
export type NextEvent =
  | ({ readonly event: 'preparing' } & Copied)
  | { readonly event: 'prepared'; readonly way: Way; readonly lsn: string }
  | { readonly event: 'failed'; readonly reason: string };

/** Null for anything else. */
export function parseNextEvent(line: string): NextEvent | null {
  try {
    return JSON.parse(line) as NextEvent;
  } catch {
    return null;
  }
}

/** How far the last preparation has come, for `status`. */
export const outcomes = {
  preparing: 'It is being made.',
  prepared: 'It is there, or was until the last start used it.',
  not_prepared: 'It could not be made, and the next start copies everything; the reason says why.',
} as const;

export interface Outcome {
  readonly state: keyof typeof outcomes;
  /** Null but for `not_prepared`. */
  readonly reason: string | null;
}

/** The reason that nobody has to look after. */
export const stoppedByWake = 'it was stopped';
