interface Code {
  /** The process's exit code, when it ends with this failure. */
  readonly exit: number;
  /** The status of an HTTP request that fails with it. */
  readonly http: number;
  /** What failed. */
  readonly doc: string;
  /** What an operator does about it. */
  readonly act: string;
}

/** Every way this program fails, once. The codes are stable: programs and runbooks may rely on them. */
export const errorCodes = {
  usage: {
    exit: 2,
    http: 400,
    doc: 'The command line is wrong.',
    act: 'Correct the option that the message names; `--help` lists all of them.',
  },
  config_unreadable: {
    exit: 1,
    http: 500,
    doc: 'A config file cannot be opened or is not JSON.',
    act: 'Check that the file exists and that the OS user may read it; for JSON, look at the line and column of the message. Try again with `compute_ctl check`.',
  },
  spec_invalid: {
    exit: 1,
    http: 400,
    doc: 'The spec has valid JSON and field types, but contradicts itself or lacks a value.',
    act: 'Change the field that the message names where the spec is made; `compute_ctl check` tells whether it is accepted.',
  },
  spec_shape: {
    exit: 1,
    http: 422,
    doc: 'A field is missing, or has a wrong type or an unknown value.',
    act: 'Compare the path in the message with docs/reference/spec.md, and correct the program that writes the spec.',
  },
  connstr: {
    exit: 1,
    http: 500,
    doc: 'A connection string cannot be used.',
    act: 'The message says which one: `--connstr`, the pageserver or a safekeeper of the spec. Write it as `postgresql://user@host:port/database`.',
  },
  control_plane: {
    exit: 1,
    http: 500,
    doc: 'The control plane did not return a usable spec.',
    act: 'Check `--control-plane-uri`, the token and the id of the compute, and ask for the address in the message with curl from this machine.',
  },
  bad_request: {
    exit: 1,
    http: 400,
    doc: 'The request cannot be read.',
    act: 'Correct the request: docs/reference/http.md has the parameters and the body of each route.',
  },
  bad_token: {
    exit: 1,
    http: 401,
    doc: 'The bearer token is missing or invalid.',
    act: 'The log says why the token was refused: expired, no key of the spec fits, wrong audience. Send a new one, or give the compute the key.',
  },
  no_token: {
    exit: 1,
    http: 400,
    doc: 'The Authorization header is not a bearer token.',
    act: 'Send `Authorization: Bearer TOKEN`.',
  },
  forbidden: {
    exit: 1,
    http: 403,
    doc: 'The token is valid, but not for this compute.',
    act: 'Compare the claim `compute_id` of the token with `--compute-id`, and check whether the address is that of another compute.',
  },
  not_local: {
    exit: 1,
    http: 403,
    doc: 'The request is for another host than this machine, or a browser sent it for a page of another server.',
    act: 'Ask from this machine by `127.0.0.1` or `localhost`; from elsewhere use the external server with a token.',
  },
  payload_too_large: {
    exit: 1,
    http: 413,
    doc: 'The request body exceeds the limit.',
    act: 'Send a smaller spec, or less at once.',
  },
  unsupported_media: {
    exit: 1,
    http: 415,
    doc: "The request body's content type is not JSON.",
    act: 'Send `Content-Type: application/json`.',
  },
  wrong_status: {
    exit: 1,
    http: 412,
    doc: "The compute's status does not allow this.",
    act: 'Look at `GET /status` and wait until the status allows it; docs/reference/http.md lists the statuses of each route.',
  },
  not_allowed: {
    exit: 1,
    http: 412,
    doc: "This compute's command line or spec does not allow this.",
    act: 'Start the compute with the option, or with the spec, that the message asks for.',
  },
  conflict: {
    exit: 1,
    http: 409,
    doc: 'Something that the request requires does not exist, or two requests conflict.',
    act: 'Create or start what the message names, or wait for the other request, and try again.',
  },
  not_found: {
    exit: 1,
    http: 404,
    doc: 'The named object does not exist.',
    act: 'Check the name for its spelling and for upper and lower case.',
  },
  busy: {
    exit: 1,
    http: 429,
    doc: 'The same work is already running.',
    act: 'Wait until the running request has ended, then try again.',
  },
  not_built: {
    exit: 1,
    http: 501,
    doc: 'This version of compute_ctl does not support this.',
    act: 'Leave it out of the spec or the request, or use a version that has it.',
  },
  os_user: {
    exit: 1,
    http: 500,
    doc: 'The operating system user for Postgres is missing or unusable.',
    act: 'Create the user, name another one with `--os-user`, or start as an ordinary user.',
  },
  program_missing: {
    exit: 1,
    http: 500,
    doc: 'A program other than Postgres (gdb, sudo, cgexec, …) cannot be found or run.',
    act: 'Install the program that the message names, and check `PATH` and its permissions.',
  },
  process_stuck: {
    exit: 1,
    http: 500,
    doc: 'A process other than Postgres did not exit, not even after SIGKILL.',
    act: 'It waits in the kernel, mostly for a disk or a network file system: repair that, or restart the machine.',
  },
  postgres_missing: {
    exit: 1,
    http: 500,
    doc: 'The postgres program cannot be found or run.',
    act: 'Install PostgreSQL, or give the path of its program `postgres` with `--pgbin`.',
  },
  postgres_version: {
    exit: 1,
    http: 500,
    doc: 'This PostgreSQL version is not supported.',
    act: 'Name a supported version with `--pgbin`; the message says which ones are.',
  },
  postgres_exited: {
    exit: 1,
    http: 500,
    doc: 'Postgres ended by itself after it had been running.',
    act: 'Read its last FATAL or PANIC message in the same error: mostly a full disk, too little memory (SIGKILL) or damaged data. Remove the cause, then start the compute again.',
  },
  pgdata_refused: {
    exit: 1,
    http: 500,
    doc: 'The data directory is not safe to change, or cannot be prepared.',
    act: 'Follow the hint: another directory, other permissions, or more space. A cluster that compute_ctl did not create is never wiped unless `--wipe-foreign-pgdata` says so.',
  },
  pgdata_locked: {
    exit: 1,
    http: 500,
    doc: 'Another compute_ctl uses the data directory.',
    act: 'Stop the process in the message, or use another directory.',
  },
  tls: {
    exit: 1,
    http: 500,
    doc: 'The TLS key or certificate is missing or unusable, or the two do not match.',
    act: 'Check the paths of the spec, that the OS user may read them, and that key and certificate belong together: `openssl x509 -noout -pubkey` and `openssl pkey -pubout` print the same key.',
  },
  safekeepers: {
    exit: 1,
    http: 500,
    doc: 'The safekeepers could not be synced.',
    act: 'Check that a majority of the safekeepers of the spec answers from this machine, and that no other compute runs on the timeline.',
  },
  pageserver: {
    exit: 1,
    http: 500,
    doc: 'A pageserver cannot be reached, or refuses a request.',
    act: 'Check address, port and token of the pageserver in the spec, from this machine; its own log has the reason of a refusal.',
  },
  basebackup: {
    exit: 1,
    http: 500,
    doc: 'The base backup could not be fetched completely.',
    act: "Read the last cause: it is the pageserver's answer, the network, or the archive. Tenant, timeline and LSN must exist there.",
  },
  archive_invalid: {
    exit: 1,
    http: 500,
    doc: 'The base backup archive is damaged, incomplete or unsafe to unpack.',
    act: 'Nothing of it is used. If it is only large, raise the limit that the message names; otherwise look for the fault where the archive is made.',
  },
  postgres_start: {
    exit: 1,
    http: 500,
    doc: 'Postgres did not start.',
    act: "The error holds PostgreSQL's last FATAL or PANIC message, and what it said before: correct the setting, port, library or file that it names.",
  },
  postgres_stuck: {
    exit: 1,
    http: 500,
    doc: 'Postgres did not stop within its limits.',
    act: 'Its processes wait in the kernel, mostly for a disk: repair that, end the pids of the message, and start again.',
  },
  catalog: {
    exit: 1,
    http: 500,
    doc: 'A statement of the catalog pass failed.',
    act: 'Look up the SQLSTATE, and correct the role, database or extension of the spec that the message names; `compute_ctl plan` shows the statements.',
  },
  sql: {
    exit: 1,
    http: 500,
    doc: "A query on this compute's own Postgres failed.",
    act: 'Check with psql whether Postgres answers as the user of `--connstr`; the SQLSTATE in the message says more.',
  },
  port: {
    exit: 1,
    http: 500,
    doc: 'A port cannot be bound.',
    act: 'Find the program that uses it with `ss -ltnp`, stop it, or choose another port.',
  },
  deadline: {
    exit: 1,
    http: 504,
    doc: 'An operation exceeded its time limit.',
    act: 'The message names the operation: look for what it waited for (locks, load, the network), then try again.',
  },
  terminated: {
    exit: 1,
    http: 500,
    doc: 'The compute is shutting down.',
    act: 'Nothing: it was asked to stop. Send the request to the next compute.',
  },
  vm: {
    exit: 1,
    http: 500,
    doc: 'The vm-monitor, the swap or the disk quota failed.',
    act: "Check what the message names in the machine's image: the cgroup, the programs for swap and quota, and their permissions.",
  },
  local_storage: {
    exit: 1,
    http: 500,
    doc: 'The storage of compute-local failed.',
    act: 'Read the log file that the message names: mostly a full disk, a port in use or a damaged folder.',
  },
  system: {
    exit: 1,
    http: 500,
    doc: 'The operating system refused a call that must succeed, such as writing a configuration file.',
    act: 'The code in the message (ENOSPC, EACCES, EMFILE, …) and the hint say what is missing: space, a permission, a limit. Provide it, and start again.',
  },
  internal: {
    exit: 1,
    http: 500,
    doc: 'A bug in compute_ctl.',
    act: 'Report it with the log; until then start the compute again.',
  },
  defect: {
    exit: 70,
    http: 500,
    doc: 'A bug in compute_ctl: an error that nothing handles. Postgres is stopped (fast mode), then the process exits.',
    act: 'Report the line `defect:` of the log, with its stack; start the compute again.',
  },
} as const satisfies Record<string, Code>;

export type ErrorCode = keyof typeof errorCodes;
