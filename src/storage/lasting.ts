import { sqlState } from '../pg/client.ts';
import { isRetryable } from './retryable.ts';

/** Without a SQLSTATE of their own: the ids are not those of a timeline. */
const noIds = /^(?:tenantid|timelineid) is required$/;

/** It wants TLS. Our question has it only where the address asks for it; Postgres has settings of its own for that. */
const wantsTls = 'must connect with TLS';

/** Whether a safekeeper would fail a question in the same way again: it refuses the token or the ids, or its address is
 *  malformed, does not exist, or is that of another server. Null when another try may succeed. */
export function howLong(error: unknown): 'always' | 'without-tls' | null {
  const state = sqlState(error);
  for (let at = error; at instanceof Error; at = at.cause) {
    if (state === 'XX000' && at.message === wantsTls) return 'without-tls';
    if (state === 'XX000' && noIds.test(at.message)) return 'always';
    if ((at as NodeJS.ErrnoException).code === 'ENOTFOUND') return 'always';
  }
  // A PostgreSQL server: it does not have the database, or does not know the command.
  const isPostgres = state === '3D000' || state?.startsWith('42') === true;
  return isPostgres || !isRetryable(error) ? 'always' : null;
}
