/** What the storage daemon tells the `up` that started it: one JSON object a line on its stdout. */
export type StorageEvent =
  | { readonly event: 'progress'; readonly step: 'initdb' | 'start' | 'base'; readonly bytes: number | null }
  | { readonly event: 'ready' }
  | { readonly event: 'failed'; readonly message: string; readonly hint: string | null };

/** Null for a line that is none: the daemon ended in the middle of it. */
export function parseEvent(line: string): StorageEvent | null {
  try {
    return JSON.parse(line) as StorageEvent;
  } catch {
    return null;
  }
}
