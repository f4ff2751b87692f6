import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { entryOf, openDirectory } from '../process/dir-fd.ts';
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
      mkdirSync(join(root, asideName), { recursive: true, mode: 0o700 });
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
  } else if (old?.isFile() === true && fresh.isFile() && haveSameContent(wanted, source)) unlinkSync(source);
  else renameSync(source, freeName(wanted));
}

function freeName(wanted: string): string {
  for (let number = 0; ; number++) {
    const name = number === 0 ? wanted : `${wanted}.${number}`;
    if (lstatSync(name, { throwIfNoEntry: false }) === undefined) return name;
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
