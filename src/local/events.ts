import type { ErrorCode } from '../core/errors.ts';
import type { Copied } from './storage/copying.ts';
import type { TroubleNews } from './storage/troubles.ts';

/** Events from the storage daemon to the `up` that started it: one JSON object per line on its stdout. */
export type StorageEvent =
  | TroubleNews
  | { readonly event: 'progress'; readonly step: 'initdb' | 'start' | 'base'; readonly bytes: number | null }
  | ({ readonly event: 'copying' } & Copied)
  | { readonly event: 'ready' }
  | {
      readonly event: 'failed';
      readonly message: string;
      readonly code: ErrorCode;
      readonly hint: string | null;
    };

/** Null for an incomplete line: the daemon ended in the middle of it. */
export function parseEvent(line: string): StorageEvent | null {
  try {
    return JSON.parse(line) as StorageEvent;
  } catch {
    return null;
  }
}
