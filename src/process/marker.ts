import { fstatSync, lstatSync } from 'node:fs';
import { entryOf } from './dir-fd.ts';
import { writeAtomically } from './files.ts';
import { readSmall } from './regular-file.ts';

/** A file that says that a program of ours created the directory that it is in. */
export interface Marker {
  /** The name of the file. */
  readonly file: string;
  /** A link or a file of another user is not a marker, nor is one that was copied together with its directory.
   *  @param dir a descriptor
   *  @param uid whose file it must be; left out: this process's */
  readonly isIn: (dir: number, uid?: number) => boolean;
  /** @param dir a descriptor */
  readonly put: (dir: number) => void;
}

/** Where the file system does not record when a directory was created. */
const unknownBirth = 'unknown';

const birthOf = (dir: number): bigint => fstatSync(dir, { bigint: true }).birthtimeNs;

/** @param text what the file says to people, without a line break at its end */
export const createMarker = (file: string, text: string): Marker => ({
  file,
  isIn(dir, uid = process.getuid?.()) {
    const path = entryOf(dir, file);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.uid !== uid) return false;
    const birth = /^Created: (\w+)$/m.exec(readSmall(path))?.[1];
    return birth === unknownBirth || birth === String(birthOf(dir));
  },
  put(dir) {
    // The time when the directory was created, so that a copy of it does not count.
    const write = (birth: string): void =>
      writeAtomically(entryOf(dir, file), `${text}\nCreated: ${birth}\n`, { mode: 0o600 });
    const birth = birthOf(dir);
    write(String(birth));
    // Then Node gives the time of the last change instead, which the marker itself has just moved.
    if (birth === 0n || birthOf(dir) !== birth) write(unknownBirth);
  },
});
