import { sqlState } from '../pg/client.ts';
import { isRetryable } from './retryable.ts';

/** Without a SQLSTATE of their own: the ids are not those of a timeline. */
const noIds = /^(?:tenantid|timelineid) is required$/;

/** Whether a safekeeper would fail a question in the same way again: it refuses the token or the ids, or its address is
 *  malformed, does not exist, or is that of another server. */
export function lasts(error: unknown): boolean {
  if (!isRetryable(error)) return true;
  const state = sqlState(error);
  // A PostgreSQL server: it does not have the database, or does not know the command.
  if (state === '3D000' || state?.startsWith('42') === true) return true;
  for (let at = error; at instanceof Error; at = at.cause) {
    if ((at as NodeJS.ErrnoException).code === 'ENOTFOUND') return true;
    if (state === 'XX000' && noIds.test(at.message)) return true;
  }
  return false;
}
