import { wordsAfterMessage } from './server-words.ts';

/** Every way this program fails, once: the process exit code and the HTTP status that go with it. */
export const errorCodes = {
  usage: { exit: 2, http: 400, doc: 'The command line is wrong.' },
  config_unreadable: { exit: 1, http: 500, doc: 'A config file cannot be opened or is not JSON.' },
  spec_invalid: {
    exit: 1,
    http: 400,
    doc: 'The spec has valid JSON and field types, but contradicts itself or lacks a value.',
  },
  spec_shape: { exit: 1, http: 422, doc: 'A field is missing, or has a wrong type or an unknown value.' },
  connstr: { exit: 1, http: 500, doc: 'A connection string cannot be used.' },
  control_plane: { exit: 1, http: 500, doc: 'The control plane did not return a usable spec.' },
  bad_request: { exit: 1, http: 400, doc: 'The request cannot be read.' },
  bad_token: { exit: 1, http: 401, doc: 'The bearer token is missing or invalid.' },
  no_token: { exit: 1, http: 400, doc: 'The Authorization header is not a bearer token.' },
  forbidden: { exit: 1, http: 403, doc: 'The token is valid, but not for this compute.' },
  not_local: {
    exit: 1,
    http: 403,
    doc: 'The request is for another host than this machine, or a browser sent it for a page of another server.',
  },
  payload_too_large: { exit: 1, http: 413, doc: 'The request body exceeds the limit.' },
  unsupported_media: { exit: 1, http: 415, doc: "The request body's content type is not JSON." },
  wrong_status: { exit: 1, http: 412, doc: "The compute's status does not allow this." },
  not_allowed: { exit: 1, http: 412, doc: "This compute's command line or spec does not allow this." },
  conflict: {
    exit: 1,
    http: 409,
    doc: 'Something that the request requires does not exist, or two requests conflict.',
  },
  not_found: { exit: 1, http: 404, doc: 'The named object does not exist.' },
  busy: { exit: 1, http: 429, doc: 'The same work is already running.' },
  not_built: {
    exit: 1,
    http: 501,
    doc: 'This version of compute_ctl does not support this.',
  },
  os_user: { exit: 1, http: 500, doc: 'The operating system user for Postgres is missing or unusable.' },
  program_missing: {
    exit: 1,
    http: 500,
    doc: 'A program other than Postgres (gdb, sudo, cgexec, …) cannot be found or run.',
  },
  process_stuck: {
    exit: 1,
    http: 500,
    doc: 'A process other than Postgres did not exit, not even after SIGKILL.',
  },
  postgres_missing: { exit: 1, http: 500, doc: 'The postgres program cannot be found or run.' },
  postgres_version: { exit: 1, http: 500, doc: 'This PostgreSQL version is not supported.' },
  pgdata_refused: {
    exit: 1,
    http: 500,
    doc: 'The data directory is not safe to change, or cannot be prepared.',
  },
  pgdata_locked: { exit: 1, http: 500, doc: 'Another compute_ctl uses the data directory.' },
  tls: {
    exit: 1,
    http: 500,
    doc: 'The TLS key or certificate is missing or unusable, or the two do not match.',
  },
  safekeepers: { exit: 1, http: 500, doc: 'The safekeepers could not be synced.' },
  pageserver: { exit: 1, http: 500, doc: 'A pageserver cannot be reached, or refuses a request.' },
  basebackup: { exit: 1, http: 500, doc: 'The base backup could not be fetched completely.' },
  archive_invalid: {
    exit: 1,
    http: 500,
    doc: 'The base backup archive is damaged, incomplete or unsafe to unpack.',
  },
  postgres_start: { exit: 1, http: 500, doc: 'Postgres did not start.' },
  settings_refused: {
    exit: 1,
    http: 500,
    doc: 'PostgreSQL cannot use a setting, so the earlier configuration stays in force.',
  },
  postgres_stuck: { exit: 1, http: 500, doc: 'Postgres did not stop within its limits.' },
  catalog: { exit: 1, http: 500, doc: 'A statement of the catalog pass failed.' },
  sql: { exit: 1, http: 500, doc: "A query on this compute's own Postgres failed." },
  port: { exit: 1, http: 500, doc: 'A port cannot be bound.' },
  deadline: { exit: 1, http: 504, doc: 'An operation exceeded its time limit.' },
  terminated: { exit: 1, http: 500, doc: 'The compute is shutting down.' },
  vm: { exit: 1, http: 500, doc: 'The vm-monitor, the swap or the disk quota failed.' },
  dir_refused: {
    exit: 1,
    http: 500,
    doc: 'The directory of compute-local holds what compute-local did not create, overlaps another one, or cannot be used.',
  },
  local_storage: { exit: 1, http: 500, doc: 'The storage of compute-local failed.' },
  internal: { exit: 1, http: 500, doc: 'A bug in compute_ctl.' },
  defect: {
    exit: 70,
    http: 500,
    doc: 'A bug in compute_ctl: an error that nothing handles. Postgres is stopped (fast mode), then the process exits.',
  },
} as const satisfies Record<string, { exit: number; http: number; doc: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** The base of every expected failure. `message` says what failed and where; `hint` says what to do about it. */
export class ComputeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ComputeError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** A text for any thrown value, also one that is not an Error or has no message. With what a PostgreSQL server adds to its
 *  message: which objects are in the way, and what to do. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  return (error.message === '' ? error.name : error.message) + wordsAfterMessage(error);
}

/** The messages from the outermost error to its last cause; cycles end the walk. */
export function causeChain(error: unknown): string[] {
  const chain: string[] = [];
  const seen = new Set<unknown>();
  for (let current = error; current !== undefined && current !== null && !seen.has(current);) {
    seen.add(current);
    chain.push(messageOf(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return chain;
}

/** One line: `outer: cause: cause`. */
export const inline = (error: unknown): string => causeChain(error).join(': ');

/** Several lines, the form of `error` in `/status`: the outer message, a blank line, `Caused by:` and the indented causes. */
export function multiline(error: unknown): string {
  const [outer = 'unknown error', ...causes] = causeChain(error);
  if (causes.length === 0) return outer;
  const lines = causes.map((cause, at) => (causes.length === 1 ? `    ${cause}` : `    ${at}: ${cause}`));
  return [outer, '', 'Caused by:', ...lines].join('\n');
}

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
