import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeNamePattern } from '../../config/values.ts';
import { ComputeError } from '../../core/errors.ts';
import { isAlive } from '../../process/identity.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { resetNote } from '../made.ts';
import { mainName } from '../names.ts';
import { nodeNames } from '../nodes.ts';
import { type Branch, type LocalDir, type LocalState, localDir, readState } from '../state.ts';

/** A compute with a storage of its own, in a directory below `branches`. */
export interface BranchEntry {
  readonly name: string;
  readonly dir: LocalDir;
  readonly state: LocalState & { readonly branch: Branch };
}

/** @throws ComputeError `usage` when the path is too long for a socket */
export const branchDir = ({ branches }: LocalDir, name: string): LocalDir => localDir(join(branches, name));

/** Null when there is none of that name. @throws ComputeError `config_unreadable` */
export function readBranch(dir: LocalDir, name: string): BranchEntry | null {
  if (!nodeNamePattern.test(name)) return null;
  const own = branchDir(dir, name);
  if (lstatSync(own.root, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  const state = readState(own);
  return state?.branch === undefined ? null : { name, dir: own, state: { ...state, branch: state.branch } };
}

/** The names of all, also of one that is damaged or half removed. */
export const namesIn = (dir: LocalDir): string[] =>
  directoriesIn(dir).filter((name) => holdsState(dir, name));

/** Directories of which only the end of a removal is left, or what somebody else has put there. */
export const restsIn = (dir: LocalDir): string[] =>
  directoriesIn(dir).filter((name) => !holdsState(dir, name));

const holdsState = ({ branches }: LocalDir, name: string): boolean =>
  ['local.json', resetNote].some((file) => existsSync(join(branches, name, file)));

function directoriesIn({ branches }: LocalDir): string[] {
  if (lstatSync(branches, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(branches, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && nodeNamePattern.test(entry.name))
    .map(({ name }) => name)
    .toSorted();
}

/** By name. @throws ComputeError `config_unreadable` for one whose local.json is damaged: nobody may take it for missing */
export const listBranches = (dir: LocalDir): BranchEntry[] =>
  namesIn(dir).flatMap((name) => readBranch(dir, name) ?? []);

/** Those that were branched from a timeline. */
export const childrenOf = (branches: readonly BranchEntry[], timelineId: string): BranchEntry[] =>
  branches.filter(({ state }) => state.branch.parent?.timelineId === timelineId);

/** What a branch can begin from. */
export interface Place {
  readonly name: string;
  readonly dir: LocalDir;
  readonly state: LocalState;
}

/** The main compute, or a branch. @throws ComputeError `not_found` with the names that there are */
export function findPlace(dir: LocalDir, name: string): Place {
  if (name === mainName) {
    const state = readState(dir);
    if (state !== null) return { name, dir, state };
  }
  const found = readBranch(dir, name);
  if (found !== null) return found;
  throw missing(dir, name);
}

/** @param otherwise what the command does without a name, for the hint */
export function missing(dir: LocalDir, name: string, otherwise = ''): ComputeError {
  const names = [...(readState(dir) === null ? [] : [mainName]), ...nodeNames(dir), ...namesIn(dir)];
  return new ComputeError('not_found', `there is no compute with the name "${name}" in ${dir.root}`, {
    hint:
      names.length === 0
        ? 'create one with: compute-local create NAME'
        : `the names are: ${names.join(', ')}${otherwise}`,
  });
}

/** The place that a timeline is of; null when it is gone. */
export function placeOf(dir: LocalDir, branches: readonly BranchEntry[], timelineId: string): Place | null {
  const main = readState(dir);
  if (main?.timelineId === timelineId) return { name: mainName, dir, state: main };
  return branches.find(({ state }) => state.timelineId === timelineId) ?? null;
}

export const isRunning = ({ upPid }: LocalDir): boolean => readPidFile(upPid) !== null;

/** Whether its time is over, or the process that it was for has ended.
 *  @param nowMs milliseconds since 1970 */
export const isOver = ({ branch }: LocalState, nowMs: number): boolean =>
  branch !== undefined &&
  ((branch.expiresAt !== null && Date.parse(branch.expiresAt) <= nowMs) ||
    (branch.owner !== undefined && !isAlive(branch.owner)));

/** @throws ComputeError `usage` for what cannot be the name of a branch; `conflict` for one that is in use */
export function requireFreeName(dir: LocalDir, name: string): void {
  requireName(name);
  if (nodeNames(dir).includes(name))
    throw new ComputeError('conflict', `"${name}" is the name of a replica or static node`, {
      hint: 'choose another name',
    });
  if (readBranch(dir, name) !== null)
    throw new ComputeError('conflict', `there is a compute with the name "${name}" already`, {
      hint: `start it with: compute-local start ${name}; give it its parent's data with: compute-local reset ${name}; or choose another name`,
    });
}

/** @throws ComputeError `usage` */
export function requireName(name: string): void {
  if (name === mainName)
    throw new ComputeError('usage', `"${mainName}" is the compute that up starts, and not a branch`, {
      hint: 'choose another name',
    });
  if (!nodeNamePattern.test(name))
    throw new ComputeError('usage', `${JSON.stringify(name.slice(0, 100))} cannot be a name`, {
      hint: 'a name has up to 31 lower-case letters, digits, - and _, and begins with a letter or a digit',
    });
}

/** @throws ComputeError `usage` for a name that a new node cannot have */
export function refuseBranchName(dir: LocalDir, name: string): void {
  if (readBranch(dir, name) === null) return;
  throw new ComputeError('usage', `"${name}" is the name of a branch`, {
    hint: 'choose another name with --name',
  });
}
