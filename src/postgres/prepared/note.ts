import * as v from 'valibot';
import { type Lsn, formatLsn, parseLsn } from '../../core/lsn.ts';
import { createMarker } from '../../process/marker.ts';
import type { RestartPoint } from '../control-file.ts';

const marker = createMarker(
  'compute_ctl.prepared',
  'A data directory that was made ahead for the next start of compute_ctl, which moves it into its own or removes it: keep nothing in it.',
);

/** Created in a prepared directory before anything else: only a directory with this file is used or removed. */
export const { file: preparedMarker, isIn: isPrepared, put: markPrepared } = marker;

/** The name of the note. It is written last: a directory without it is not complete. */
export const noteFile = 'compute_ctl.prepared.json';

const lsn = v.pipe(
  v.string(),
  v.transform(parseLsn),
  v.check((parsed) => parsed !== null),
  v.transform((parsed) => parsed as Lsn),
);

const schema = v.object({
  tenantId: v.string(),
  timelineId: v.string(),
  lsn,
  checkpoint: lsn,
  systemId: v.string(),
  postgresMajor: v.number(),
  postgresTimeline: v.number(),
  bootId: v.string(),
  version: v.string(),
});

/** What a prepared directory holds. `lsn`: where its WAL ends; `checkpoint`: where the last record of it begins, a checkpoint;
 *  `version`: of the program that made it. */
export type PreparedNote = v.InferOutput<typeof schema>;

export const noteText = (note: PreparedNote): string =>
  `${JSON.stringify({ ...note, lsn: formatLsn(note.lsn), checkpoint: formatLsn(note.checkpoint) }, null, 2)}\n`;

/** Null for anything else. */
export function parseNote(text: string): PreparedNote | null {
  try {
    const parsed = v.safeParse(schema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** What a start needs. */
export type Wanted = Pick<
  PreparedNote,
  'tenantId' | 'timelineId' | 'lsn' | 'postgresMajor' | 'bootId' | 'version'
>;

/** Why a start must not use it; null when it is exactly what the base backup would give.
 *  @param control what its `pg_control` says; null when it was not stopped in order */
export function unfit(note: PreparedNote, wanted: Wanted, control: RestartPoint | null): string | null {
  if (note.tenantId !== wanted.tenantId || note.timelineId !== wanted.timelineId)
    return `it is of tenant ${note.tenantId}, timeline ${note.timelineId}`;
  if (note.lsn !== wanted.lsn)
    return `it ends at LSN ${formatLsn(note.lsn)}, and this start is at ${formatLsn(wanted.lsn)}`;
  if (note.postgresMajor !== wanted.postgresMajor)
    return `it is of PostgreSQL ${note.postgresMajor}, and this is ${wanted.postgresMajor}`;
  // Its pg_hba.conf, for one, may be another one by now.
  if (note.version !== wanted.version)
    return `version ${note.version} made it, and this is ${wanted.version}`;
  // Nobody knows what had reached the disk then.
  if (note.bootId !== wanted.bootId || wanted.bootId === 'unknown')
    return 'the machine was started again since it was made';
  if (control === null) return 'its PostgreSQL was not stopped in order';
  if (control.systemId !== note.systemId || control.checkpoint !== note.checkpoint)
    return 'its pg_control does not belong to its note';
  return null;
}
