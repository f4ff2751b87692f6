import { readSmall } from '../../process/regular-file.ts';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError, explained } from '../../core/errors.ts';
import { formatLsn } from '../../core/lsn.ts';
import { type PreparedNote, noteFile, noteText, parseNote } from '../../postgres/prepared/note.ts';
import { writeDurable } from '../../process/files.ts';
import { bootId } from '../../process/identity.ts';
import { removeTree } from '../../process/remove-tree.ts';
import type { PrepareContext } from './context.ts';
import type { LocalDir } from '../state.ts';
import { addWal, unpackSource } from './fill.ts';
import { createNext } from './places.ts';
import { recover } from './recover.ts';
import { type Source, segmentOf } from './source.ts';

/** From the base backup; or from what an earlier sleep has left, with the WAL since then. */
export type Way = 'unpacked' | 'advanced';

/** Whether a preparation would most likely only have to add WAL. */
export const hasTemplate = ({ nextTemplate }: LocalDir): boolean =>
  readTemplateNote(nextTemplate)?.bootId === bootId();

/** Bytes of WAL that the template lacks; null: there is none that can be advanced. */
export function newBytesOf({ nextTemplate }: LocalDir, note: PreparedNote, source: Source): number | null {
  const old = readTemplateNote(nextTemplate);
  if (old === null || !canAdvance(old, note, source)) return null;
  const first = segmentOf(old.lsn, source.base);
  return source.segments.filter(({ number }) => number >= first).length * source.base.walSegmentBytes;
}

/** Brings the template to the end of the storage. While it is changed it has no note: what is left of it then is never used.
 *  @param note what it must say in the end
 *  @throws ComputeError; AbortError */
export async function updateTemplate(
  { dir, tools, onlyAdvance, onCopied, log }: Omit<PrepareContext, 'state' | 'diskLimits' | 'mostBytes'>,
  source: Source,
  note: PreparedNote,
  signal: AbortSignal,
): Promise<Way> {
  const path = dir.nextTemplate;
  const done = <W extends Way>(way: W): W => {
    writeDurable(join(path, noteFile), noteText(note));
    return way;
  };
  const run = (): Promise<void> => recover({ path, tools, socketDir: dir.run, log }, source, signal);
  const old = readTemplateNote(path);
  const isOfThis = old !== null && canAdvance(old, note, source);
  if (isOfThis && old.lsn === note.lsn) return 'advanced';
  // Also of one that does not fit now: the storage may come to its LSN by another way.
  rmSync(join(path, noteFile), { force: true });
  if (isOfThis) {
    try {
      await addWal(path, source, old.lsn, signal);
      await run();
      return done('advanced');
    } catch (error) {
      signal.throwIfAborted();
      log.warn(
        `the template at ${formatLsn(old.lsn)} cannot be advanced, and is made again: ${explained(error)}`,
      );
    }
  }
  if (onlyAdvance) throw new ComputeError('conflict', 'the template is not of this history');
  await removeTree(path, signal);
  createNext(path);
  await unpackSource(path, source, onCopied, signal);
  await run();
  return done('unpacked');
}

function readTemplateNote(path: string): PreparedNote | null {
  try {
    return parseNote(readSmall(join(path, noteFile)));
  } catch {
    return null;
  }
}

/** The same history, and all WAL since then is stored. */
export function canAdvance(old: PreparedNote, note: PreparedNote, { base, segments }: Source): boolean {
  const same = [
    'tenantId',
    'timelineId',
    'systemId',
    'postgresMajor',
    'postgresTimeline',
    'bootId',
    'version',
  ] as const;
  const [first] = segments;
  return (
    same.every((name) => old[name] === note[name]) &&
    note.bootId !== 'unknown' &&
    old.lsn <= note.lsn &&
    first !== undefined &&
    segmentOf(old.lsn, base) >= first.number
  );
}
