import { randomBytes } from 'node:crypto';
import {
  type Dirent,
  closeSync,
  fstatSync,
  lstatSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { entryOf, openDirectory, openForEntries } from '../../process/dir-fd.ts';
import { readSmall } from '../../process/regular-file.ts';
import { isVolumeOwn } from '../../process/remove-tree.ts';
import { restartPointIn } from '../control-file.ts';
import { type Wanted, isPrepared, noteFile, parseNote, preparedMarker, unfit } from './note.ts';

export interface AdoptOptions {
  /** The prepared directory. */
  readonly prepared: string;
  /** Absolute, no symbolic links; its lock is held. */
  readonly pgdata: string;
  /** Files of ours in `pgdata`, which stay. */
  readonly keep: ReadonlySet<string>;
  /** Null: this start takes no prepared directory. */
  readonly wanted: Wanted | null;
}

/** Moves a prepared directory into the data directory, entry by entry: all of it is renames. One that is not what this start needs is
 *  renamed to `<pgdata>.old-<random>`, as are the remains of one that is used, for `cleanUp` of the data directory to remove. What
 *  is not ours stays where it is.
 *  @returns why it is not used; null when it is
 *  @throws the system's error when it was moved in part: the data directory must be emptied */
export function adoptPrepared({ prepared, pgdata, keep, wanted }: AdoptOptions): string | null {
  const parent = openForEntries(dirname(pgdata));
  let dir: number | null = null;
  try {
    const place = entryOf(parent, basename(prepared));
    const [beside, above] = [statSync(dirname(resolve(prepared))), fstatSync(parent)];
    if (beside.ino !== above.ino || beside.dev !== above.dev) return 'it is not beside the data directory';
    try {
      dir = openDirectory(place);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'ENOENT' ? 'there is none' : `it is not a directory (${code}), and is left alone`;
    }
    const { uid } = fstatSync(dir);
    if (uid !== process.getuid?.()) return `it belongs to uid ${uid}, and is left alone`;
    if (!isPrepared(dir)) return 'it was not made for that, and is left alone';
    const why = wanted === null ? 'only a primary takes it' : whyNot(dir, pgdata, keep, wanted);
    try {
      if (why === null) moveInto(dir, pgdata, keep);
    } finally {
      moveAside(parent, place, dir, basename(pgdata));
    }
    return why;
  } finally {
    closeSync(parent);
    if (dir !== null) closeSync(dir);
  }
}

const entriesOf = (dir: number): Dirent[] => readdirSync(`/proc/self/fd/${dir}`, { withFileTypes: true });

function whyNot(dir: number, pgdata: string, keep: ReadonlySet<string>, wanted: Wanted): string | null {
  let text: string;
  try {
    text = readSmall(entryOf(dir, noteFile));
  } catch {
    return 'it is not complete';
  }
  const note = parseNote(text);
  if (note === null) return 'its note cannot be read';
  const reason = unfit(note, wanted, restartPointIn(entryOf(dir, 'global/pg_control')));
  if (reason !== null) return reason;
  const { dev } = fstatSync(dir);
  const odd = entriesOf(dir).find((entry) => !isPlain(dir, entry, dev));
  if (odd !== undefined) return `${odd.name} in it is not a file or directory of this user`;
  return cannotTake(pgdata, keep, dev);
}

function isPlain(dir: number, entry: Dirent, dev: number): boolean {
  const stat = lstatSync(entryOf(dir, entry.name));
  return (entry.isFile() || entry.isDirectory()) && stat.uid === process.getuid?.() && stat.dev === dev;
}

/** A volume, or one inside, such as on pg_wal, is filled as ever. */
function cannotTake(pgdata: string, keep: ReadonlySet<string>, dev: number): string | null {
  const target = openDirectory(pgdata);
  try {
    if (fstatSync(target).dev !== dev) return 'the data directory is on another file system';
    const other = entriesOf(target).find((entry) => !keep.has(entry.name) && !isVolumeOwn(entry));
    return other === undefined ? null : `the data directory holds ${other.name}`;
  } finally {
    closeSync(target);
  }
}

function moveInto(dir: number, pgdata: string, keep: ReadonlySet<string>): void {
  // Nobody takes the rest of it for a whole one.
  unlinkSync(entryOf(dir, noteFile));
  const target = openDirectory(pgdata);
  try {
    for (const { name } of entriesOf(dir))
      if (name !== preparedMarker && !keep.has(name)) renameSync(entryOf(dir, name), entryOf(target, name));
  } finally {
    closeSync(target);
  }
}

function moveAside(parent: number, place: string, dir: number, pgdata: string): void {
  const old = entryOf(parent, `${pgdata}.old-${randomBytes(8).toString('hex')}`);
  renameSync(place, old);
  const [checked, moved] = [fstatSync(dir), lstatSync(old)];
  // Somebody has put another one in its place.
  if (moved.ino !== checked.ino || moved.dev !== checked.dev) renameSync(old, place);
}
