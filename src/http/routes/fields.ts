import * as v from 'valibot';
import { type ErrorCode, errorCodes } from '../../core/errors.ts';
import type { Retried } from '../../core/retries.ts';
import { type Status, statuses } from '../../core/status.ts';
import { activityKinds } from '../../monitor/activity.ts';
import type { ProbeReport } from '../../lifecycle/api.ts';
import { downReasons } from '../../monitor/failure.ts';

const described = <S extends v.GenericSchema>(
  schema: S,
  doc: string,
): v.SchemaWithPipe<readonly [S, v.DescriptionAction<v.InferOutput<S>, string>]> =>
  v.pipe(schema, v.description<v.InferOutput<S>, string>(doc));

export const status = (doc: string) => described(v.picklist(statuses as [Status, ...Status[]]), doc);
export const text = (doc: string) => described(v.string(), doc);
export const textOrNull = (doc: string) => described(v.nullable(v.string()), doc);
export const count = (doc: string) => described(v.pipe(v.number(), v.integer(), v.minValue(0)), doc);

/** The monitor's view of Postgres. */
const postgres = v.object({
  up: described(
    v.boolean(),
    'Whether Postgres answered the last check, both on the existing connection and on a new one.',
  ),
  full: described(
    v.boolean(),
    'Whether Postgres answered the last check that it has no free connection. It counts as up then.',
  ),
  since: text('Start of the current state, up or down; UTC.'),
  current_downtime_ms: count("The current downtime's duration; 0 while Postgres answers."),
  total_downtime_ms: count('All downtimes together, including the current one.'),
  reason: described(
    v.nullable(v.picklist(downReasons)),
    'Why the latest check failed; null while Postgres is up.',
  ),
  sqlstate: textOrNull("The server's error code; null without an answer from the server."),
  last_activity: described(v.nullable(v.picklist(activityKinds)), 'The kind of activity at `last_active`.'),
});

/** Commits that do not return. */
const commits = v.object({
  since: text('Since when; UTC, ends in Z.'),
  waiting: count('Commits that wait now; 20 stands for more.'),
  reason: text('Why, in the words of the storage where it can be asked (--storage-status-uri).'),
  hint: text('What to do.'),
});

const serviceHealth = v.object({
  state: described(v.picklist(['ok', 'degraded', 'failed']), 'Whether the service works.'),
  since: text('When its state or error last changed; UTC, ends in Z.'),
  error: textOrNull('Why the state is not `ok`.'),
  detail: described(
    v.optional(v.string()),
    'What the service does now, for people. Absent where there is nothing to say.',
  ),
});

const failure = v.object({
  code: described(
    v.picklist(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    'What kind of failure it is; docs/reference/errors.md says what to do about each.',
  ),
  step: textOrNull(
    'The step of the start, the reconfiguration or the refresh that failed; null outside of the steps.',
  ),
  sqlstate: textOrNull("The error code of PostgreSQL or of the storage's server; null where they gave none."),
  postgres: textOrNull(
    "PostgreSQL's last FATAL or PANIC message, with what it said just before; null when this is not about its end.",
  ),
  hint: textOrNull('What to do.'),
  since: text('When it failed; UTC, ends in Z.'),
});

const retrying = v.object({
  what: described(
    v.picklist(['pageserver', 'safekeepers', 'control_plane', 'refresh'] satisfies Retried[]),
    'Whom the compute tries to reach; `refresh`: the configuration is fetched and applied again.',
  ),
  failures: count('Attempts that have failed.'),
  since: text('When the first one failed; UTC, ends in Z.'),
  error: text('Why the last one failed, with its hints.'),
  next_try: textOrNull('When the next attempt begins; UTC, ends in Z. Null while one is running.'),
  max_attempts: described(
    v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1))),
    'It gives up after that many attempts; null: not for their number.',
  ),
  gives_up: textOrNull(
    'It gives up then, at the latest; UTC, ends in Z. Null: it does not give up for the time.',
  ),
});

const failedDatabase = v.object({
  name: text('Its name in the spec.'),
  error: text("Where, what and why it failed, with PostgreSQL's words."),
  sqlstate: textOrNull("PostgreSQL's error code; null without an answer from the server."),
  hint: textOrNull('What to do about it.'),
  since: text('When it first failed; UTC, ends in Z.'),
  failures: count('How often it has failed since then.'),
  next_try: textOrNull(
    'When it is tried again; UTC, ends in Z. Null while a try is running, and after a failed `/configure`, which has to be repeated.',
  ),
});

const extensionStatistics = v.object({
  collected_at: text('When they were counted; UTC, ends in Z.'),
  databases: count('Databases that were looked into.'),
  skipped: count(
    'Databases that could not be looked into, for which there was no time, or that are too many.',
  ),
  extensions: v.array(
    v.object({
      extname: text('Name of the extension.'),
      version: text('The version that is installed.'),
      n_databases: count('Databases with this version.'),
      owned_by_superuser: described(v.boolean(), 'Whether the first superuser owns it.'),
    }),
  ),
});

const pendingRestart = v.object({
  name: text('Name of the setting.'),
  current: textOrNull('The value in force; null for texts, which may hold a secret.'),
  wanted: textOrNull(
    'The value in the configuration files; null for texts, and where they do not set it any more.',
  ),
});

const overriddenSetting = v.object({
  name: text('Name of the setting.'),
  file: text('Path of the file that overrides it, such as `postgresql.auto.conf` of ALTER SYSTEM.'),
  line: count('The line in that file.'),
});

/** The body of `GET /status`. */
export const computeStatus = v.object({
  start_time: text(
    'When the process started; when the spec arrived, if the compute had to wait for one; UTC, ends in Z.',
  ),
  tenant: textOrNull('32 hex digits; null while there is no spec.'),
  timeline: textOrNull('32 hex digits; null while there is no spec.'),
  status: status('What the compute is doing.'),
  last_active: textOrNull("The time of the clients' latest activity; UTC, ends in +00:00."),
  error: textOrNull(
    'Why the last start or reconfiguration failed, in several lines: message, causes, hints, step, SQLSTATE, code; null after a success.',
  ),
  failure: described(v.optional(failure), 'The same in parts, for programs. Absent when nothing failed.'),
  retrying: described(
    v.optional(v.array(retrying)),
    'What has failed and is tried again at the moment. Absent when nothing is.',
  ),
  postgres: described(v.optional(postgres), 'Absent until the compute first runs.'),
  commits: described(
    v.optional(commits),
    'Commits do not return, because the storage or the synchronous standby does not acknowledge them. Absent while they do.',
  ),
  services: described(
    v.record(v.string(), serviceHealth),
    'Every service that the spec or the command line asks for, by name.',
  ),
  pending_restart: described(
    v.optional(v.array(pendingRestart)),
    'The settings that were changed, but take effect only when Postgres starts again. Absent when there are none.',
  ),
  overridden_settings: described(
    v.optional(v.array(overriddenSetting)),
    'The settings of the spec that are not in force, because a later file has another value. Found when a configuration is applied. Absent when there are none.',
  ),
  installed_extensions: described(
    v.optional(extensionStatistics),
    'Which extensions the databases have. Absent before they were counted.',
  ),
  failed_databases: described(
    v.optional(v.array(failedDatabase)),
    'The databases that are not as the spec asks, because the latest catalog pass failed in them. They do not keep a compute from starting: it runs, and they are tried again in the background. Absent when there are none.',
  ),
});

/** The body of `GET /livez`. */
export const probeStatus = v.object({ status: status('What the compute is doing.') });

const probe = {
  ...probeStatus.entries,
  since: text('When this answer began to hold, RFC 3339, UTC: of a 503, when its reason did.'),
  reason: described(
    v.optional(v.string()),
    'Why the answer is 503: what the compute waits for, the step of the start, or how Postgres does not answer. The error itself is in `GET /status`, which requires a token.',
  ),
};

/** The body of `GET /startupz`. */
export const startupBody = v.object(probe);

/** The part of a probe's body that says since when and why. */
export const probeFields = ({ since, reason }: ProbeReport): { since: string; reason?: string } => ({
  since: since.toISOString(),
  ...(reason !== null && { reason }),
});

/** The body of `GET /readyz`. */
export const readinessBody = v.object({
  ...probe,
  full: described(
    v.optional(v.boolean()),
    'True while Postgres has no free connection; absent otherwise. It is not down: connected clients are served.',
  ),
  writes_stopped: described(
    v.optional(v.boolean()),
    'True while the storage has stopped writes, because its disk is nearly full; absent otherwise. Clients can read, and write in transactions that ask for it.',
  ),
});

/** One of this compute's databases. */
export const databaseName = text('Name of the database.');
