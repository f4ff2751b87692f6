import {
  type Dirent,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { markerFile } from '../postgres/marker.ts';
import { entryOf } from '../process/dir-fd.ts';
import { readSmall } from '../process/regular-file.ts';
import { dirMarker, resetNote } from './made.ts';
import { isState } from './state.ts';
import { heldTimelines } from './storage/layout.ts';

/** @throws ComputeError `dir_refused` when the directory lies in one of compute-local, or in the data of a PostgreSQL */
export function refuseOverlap(root: string): void {
  const real = realPath(root);
  for (let at = isBranch(real) ? dirname(dirname(dirname(real))) : dirname(real); ; at = dirname(at)) {
    const what = whatIsIn(at);
    if (what !== null) throw overlap(root, `lies in ${at}, which is ${what}`);
    if (at === dirname(at)) return;
  }
}

/** One that compute-local itself has put below its directory, also with a local.json that is damaged or missing. */
const isBranch = (root: string): boolean =>
  basename(dirname(root)) === 'branches' &&
  whatIsIn(dirname(dirname(root))) === ofComputeLocal &&
  (whatIsIn(root) === ofComputeLocal ||
    holdsTimelines(join(root, 'storage')) ||
    existsSync(join(root, resetNote)));

/** @param dir a descriptor of `root`
 *  @param foreign the entries that compute-local does not make
 *  @throws ComputeError `dir_refused` when one of them is the directory of another compute-local */
export function refuseOverlapInside(root: string, dir: number, foreign: readonly Dirent[]): void {
  for (const { name } of foreign.filter((entry) => entry.isDirectory())) {
    const what = whatIsIn(entryOf(dir, name));
    if (what === ofComputeLocal) throw overlap(root, `holds ${join(root, name)}, which is ${what}`);
  }
}

const overlap = (root: string, why: string): ComputeError =>
  new ComputeError('dir_refused', `${root} ${why}`, {
    hint: 'choose a directory apart from it with --dir; nothing was changed',
  });

const ofComputeLocal = 'a directory of compute-local';

/** Only a file of the directory's owner says what it is: anybody can create one in /tmp. */
function whatIsIn(path: string): string | null {
  let dir: number;
  try {
    dir = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return null;
  }
  try {
    const { uid } = fstatSync(dir);
    const has = (name: string): boolean => {
      const stat = lstatSync(entryOf(dir, name), { throwIfNoEntry: false });
      return stat?.isFile() === true && stat.uid === uid;
    };
    if (has(dirMarker.file) || (has('local.json') && holdsState(entryOf(dir, 'local.json'))))
      return ofComputeLocal;
    if (has(markerFile) || (has('PG_VERSION') && has('global/pg_control')))
      return 'the data directory of a PostgreSQL';
    // Also where it is mounted at another place, without the directory around it.
    return holdsTimelines(path) ? 'the storage of a compute-local' : null;
  } finally {
    closeSync(dir);
  }
}

function holdsTimelines(path: string): boolean {
  try {
    return heldTimelines(path).length > 0;
  } catch {
    return false;
  }
}

function holdsState(path: string): boolean {
  try {
    return isState(JSON.parse(readSmall(path)));
  } catch {
    return false;
  }
}

/** Links are followed as far as the path exists. */
function realPath(path: string): string {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      return join(realpathSync(at), ...missing);
    } catch {
      if (at === dirname(at)) return resolve(path);
      missing.unshift(basename(at));
    }
  }
}
