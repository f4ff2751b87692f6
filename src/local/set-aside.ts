import {
  closeSync,
  fstatSync,
  lstatSync,
  readSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { entryOf, openDirectory } from '../process/dir-fd.ts';
import { ownDir } from '../process/files.ts';
import { ruleOf } from '../process/made.ts';
import { openRegular } from '../process/regular-file.ts';
import { entriesThatCount } from './entries.ts';
import { madePgdata } from './made.ts';
import type { LocalDir } from './state.ts';

/** Where it is moved, beside the data directory. */
const asideName = 'from-pgdata';

/** Moves what somebody else has put into the data directory to `from-pgdata` beside it: a start is about to wipe the data
 *  directory. A base backup has such a file, too, so the same one comes back with every start; it is kept once.
 *  @returns the names
 *  @throws ComputeError `dir_refused` when it cannot be moved, as from a mounted volume */
export function setAside({ root, pgdata }: LocalDir): string[] {
  let dir: number;
  try {
    dir = openDirectory(pgdata);
  } catch {
    // Missing, or for compute_ctl to refuse.
    return [];
  }
  try {
    const foreign = entriesThatCount(dir).filter((entry) => ruleOf(madePgdata, entry) === -1);
    for (const { name } of foreign) {
      ownDir(join(root, asideName), 0o700);
      moveInto(join(root, asideName), dir, name);
    }
    return foreign.map(({ name }) => name);
  } catch (cause) {
    throw new ComputeError('dir_refused', `cannot move what somebody else put into ${pgdata}`, {
      cause,
      hint: 'move it to another place: every start wipes this directory',
    });
  } finally {
    closeSync(dir);
  }
}

/** @param from a descriptor of the directory that it is in */
function moveInto(target: string, from: number, name: string): void {
  const [source, wanted] = [entryOf(from, name), join(target, name)];
  const [old, fresh] = [lstatSync(wanted, { throwIfNoEntry: false }), lstatSync(source)];
  if (old?.isDirectory() === true && fresh.isDirectory()) {
    const dir = openDirectory(source);
    try {
      for (const below of readdirSync(`/proc/self/fd/${dir}`)) moveInto(wanted, dir, below);
    } finally {
      closeSync(dir);
    }
    rmdirSync(source);
  } else moveBeside(source, wanted);
}

/** Under the first free name of `notes`, `notes.1`, `notes.2`; a file with the same content as one of them is not kept twice. */
function moveBeside(source: string, wanted: string): void {
  const isFile = lstatSync(source).isFile();
  for (let number = 0; ; number++) {
    const name = number === 0 ? wanted : `${wanted}.${number}`;
    const taken = lstatSync(name, { throwIfNoEntry: false });
    if (taken === undefined) return renameSync(source, name);
    if (isFile && taken.isFile() && haveSameContent(name, source)) return unlinkSync(source);
  }
}

const chunkBytes = 65_536;

function haveSameContent(one: string, other: string): boolean {
  const files = [openRegular(one), openRegular(other)] as const;
  try {
    if (fstatSync(files[0]).size !== fstatSync(files[1]).size) return false;
    const chunks = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)] as const;
    for (;;) {
      const read = readSync(files[0], chunks[0]);
      if (readSync(files[1], chunks[1]) !== read) return false;
      if (read === 0) return true;
      if (!chunks[0].subarray(0, read).equals(chunks[1].subarray(0, read))) return false;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}
