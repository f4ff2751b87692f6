/** What an error of a PostgreSQL server has beside its message, as the driver gives it.
 *  @see https://www.postgresql.org/docs/current/protocol-error-fields.html */
interface ServerError extends Error {
  readonly severity: string;
  readonly code: string;
  readonly schema?: string;
  detail?: string;
  hint?: string;
  where?: string;
  internalQuery?: string;
}

/** Characters of each field. A DETAIL names up to 100 objects. */
const maxLength = 2000;

/** SQLSTATE classes whose DETAIL and CONTEXT quote rows of users: data exception, integrity constraint violation, WITH CHECK
 *  OPTION violation. */
const quotingRows: readonly string[] = ['22', '23', '44'];

const isServerError = (error: Error): error is ServerError =>
  'severity' in error && 'code' in error && typeof error.code === 'string';

/** DETAIL, HINT and CONTEXT of a server's error, on one line, to follow its message; empty without any of them, and for other
 *  errors. */
export function wordsAfterMessage(error: Error): string {
  if (!isServerError(error)) return '';
  // Keys of the system's catalogs are names and OIDs.
  const quotes = quotingRows.includes(error.code.slice(0, 2)) && error.schema !== 'pg_catalog';
  const { detail, hint, where } = error;
  const fields = { DETAIL: quotes ? '' : detail, HINT: hint, CONTEXT: quotes ? '' : where };
  const said = Object.entries(fields).flatMap(([name, text]) => {
    return typeof text === 'string' && text !== '' ? [`${name}: ${shortLine(text)}`] : [];
  });
  return said.length === 0 ? '' : ` (${said.join(' ')})`;
}

/** The SQLSTATE of one error, without its causes; null when it has none.
 *  @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code } = error as { code?: unknown };
  // Some errors of the operating system (EPIPE) have five letters, too; SQLSTATE classes never begin with E.
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** Removes what may quote the statement from the error that it failed with: for a statement that contains a secret. The
 *  server's CONTEXT quotes statements that a function runs, and an extension may write into the DETAIL what it likes. */
export function forgetQuotes(error: unknown): void {
  if (error instanceof Error && isServerError(error))
    for (const field of ['detail', 'where', 'internalQuery'] as const) delete error[field];
}

function shortLine(text: string): string {
  const line = text.trim().replaceAll(/\s*[\r\n]+\s*/g, '; ');
  return line.length <= maxLength ? line : `${line.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…`;
}
