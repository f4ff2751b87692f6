import { fstatSync, lstatSync } from 'node:fs';
import { entryOf } from '../process/dir-fd.ts';
import { writeAtomically } from '../process/files.ts';
import { readSmall } from '../process/regular-file.ts';

/** Created in every data directory before anything else: only a directory with this file is ever wiped. */
export const markerFile = 'compute_ctl.marker';

/** @param birth of the directory, so that a copy of it does not count */
const markerText = (birth: string): string =>
  `compute_ctl created this directory. It is wiped and created again at every start: keep nothing in it.
Created: ${birth}
`;

/** Where the file system does not record when a directory was created. */
const unknownBirth = 'unknown';

const birthOf = (dir: number): bigint => fstatSync(dir, { bigint: true }).birthtimeNs;

/** A link or a file of another user is not a marker, nor is one that was copied together with its directory.
 *  @param dir a descriptor */
export function isMarked(dir: number): boolean {
  const file = entryOf(dir, markerFile);
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.uid !== process.getuid?.()) return false;
  const birth = /^Created: (\w+)$/m.exec(readSmall(file))?.[1];
  return birth === unknownBirth || birth === String(birthOf(dir));
}

/** @param dir a descriptor */
export function mark(dir: number): void {
  const write = (birth: string): void =>
    writeAtomically(entryOf(dir, markerFile), markerText(birth), { mode: 0o600 });
  const birth = birthOf(dir);
  write(String(birth));
  // Then Node gives the time of the last change instead, which the marker itself has just moved.
  if (birth === 0n || birthOf(dir) !== birth) write(unknownBirth);
}
