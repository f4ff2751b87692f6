import type { Keep } from '../storage/history.ts';

/** What is kept from now on: as given, else as before.
 *  @param before null: nothing */
export function keepOf(
  before: Keep | null,
  { keep, keepAtMost }: { readonly keep: number | null; readonly keepAtMost: number | null },
): Keep | null {
  const seconds = keep ?? before?.seconds ?? 0;
  return seconds === 0 ? null : { seconds, maxBytes: keepAtMost ?? before?.maxBytes ?? null };
}
