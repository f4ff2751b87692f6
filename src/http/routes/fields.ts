import * as v from 'valibot';
import { type Status, statuses } from '../../core/status.ts';
import { activityKinds } from '../../monitor/activity.ts';
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

/** What the monitor knows of Postgres. */
const postgres = v.object({
  up: described(
    v.boolean(),
    'Whether Postgres answered when it was last asked, old and new connections alike.',
  ),
  since: text('Since when it is up, or down; UTC.'),
  current_downtime_ms: count('How long it has not been answering; 0 while it answers.'),
  total_downtime_ms: count('All downtimes together, the one that lasts included.'),
  reason: described(v.nullable(v.picklist(downReasons)), 'Why the latest check failed; null while it is up.'),
  sqlstate: textOrNull('What the server said, when it said something.'),
  last_activity: described(v.nullable(v.picklist(activityKinds)), 'What was seen at `last_active`.'),
});

const serviceHealth = v.object({
  state: described(v.picklist(['ok', 'degraded', 'failed']), 'Whether it does what it is for.'),
  since: text('Since when its state and error are what they are; UTC, ends in Z.'),
  error: textOrNull('Why it is not ok.'),
});

/** The body of `GET /status`. */
export const computeStatus = v.object({
  start_time: text(
    'When the process started, or when the spec arrived if it had to wait for one; UTC, ends in Z.',
  ),
  tenant: textOrNull('32 hex digits; null while there is no spec.'),
  timeline: textOrNull('32 hex digits; null while there is no spec.'),
  status: status('What the compute is doing.'),
  last_active: textOrNull('The latest activity of a client that was seen; UTC, ends in +00:00.'),
  error: textOrNull('Why the last start or reconfiguration failed; null after a success.'),
  postgres: described(v.optional(postgres), 'Left out until the compute first runs.'),
  services: described(
    v.record(v.string(), serviceHealth),
    'Every service beside Postgres that the spec or the command line asks for, by name.',
  ),
});

/** The body of the three probes. */
export const probeStatus = v.object({ status: status('What the compute is doing.') });

/** One of the databases of the compute. */
export const databaseName = text('Name of the database.');
