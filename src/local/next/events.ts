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
