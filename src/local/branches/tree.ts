import { accessSync, constants, existsSync, lstatSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nodeNamePattern } from '../../config/values.ts';
import { ComputeError, codeOf, inline } from '../../core/errors.ts';
import { isAlive } from '../../process/identity.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { dirMarker, resetNote } from '../made.ts';
import { mainName } from '../names.ts';
import { nodeNames } from '../nodes.ts';
import type { Branch } from '../branch.ts';
import { type LocalDir, type LocalState, commandFor, localDir, placesIn, readState } from '../state.ts';
import { heldTimelines } from '../storage/layout.ts';

/** A compute with a storage of its own, in a directory below `branches`. */
export interface BranchEntry {
  readonly name: string;
  readonly dir: LocalDir;
  readonly state: LocalState & { readonly branch: Branch };
}

/** Its path may be too long to run in, where the directory around it was moved. */
export const branchDir = ({ branches }: LocalDir, name: string): LocalDir => placesIn(join(branches, name));

/** The directory that a compute belongs to: of `main`, also for a branch. */
export function homeOf(dir: LocalDir): LocalDir {
  const parent = dirname(dir.root);
  const home = dirname(parent);
  const isBelow =
    basename(parent) === 'branches' &&
    [dirMarker.file, 'local.json'].some((file) => existsSync(join(home, file)));
  return isBelow ? localDir(home) : dir;
}

/** One that cannot be used: its local.json is damaged, or missing while its data is there. */
export interface Damaged {
  readonly name: string;
  readonly dir: LocalDir;
  readonly error: ComputeError;
}

/** Null when there is none of that name. */
export function findBranch(dir: LocalDir, name: string): BranchEntry | Damaged | null {
  if (!nodeNamePattern.test(name)) return null;
  const root = join(dir.branches, name);
  if (lstatSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  const own = branchDir(dir, name);
  const damaged = (why: string): Damaged => {
    const first = existsSync(own.state) ? ' after moving it away' : '';
    const hint = `restore ${own.state} from a backup; or create another for its data${first}: ${commandFor(own, 'up')}; or delete the compute: ${commandFor(dir, `delete ${name}`)}`;
    const message = `the compute "${name}" cannot be used: ${why}`;
    return { name, dir: own, error: new ComputeError('config_unreadable', message, { hint }) };
  };
  try {
    const state = readState(own);
    if (state !== null) return { name, dir: own, state: { ...state, branch: state.branch ?? unknown(own) } };
  } catch (error) {
    if (codeOf(error) !== 'config_unreadable') throw error;
    return damaged(inline(error));
  }
  const isLeft = !existsSync(join(root, resetNote)) && holdsTimelines(own.storage);
  return isLeft ? damaged(`${own.state} is missing`) : null;
}

/** What cannot be entered is somebody else's. */
function holdsTimelines(storage: string): boolean {
  try {
    return heldTimelines(storage).length > 0;
  } catch {
    return false;
  }
}

/** Of one whose local.json was created again. */
const unknown = ({ state }: LocalDir): Branch => ({
  parent: null,
  createdAt: lstatSync(state).birthtime.toISOString(),
  expiresAt: null,
});

/** Null when there is none of that name. @throws ComputeError `config_unreadable` naming it */
export function readBranch(dir: LocalDir, name: string): BranchEntry | null {
  const found = findBranch(dir, name);
  if (found !== null && 'error' in found) throw found.error;
  return found;
}

/** The names of all, also of one that is damaged or half removed. */
export const namesIn = (dir: LocalDir): string[] =>
  directoriesIn(dir).filter((name) => holdsState(dir, name) || findBranch(dir, name) !== null);

/** Directories of which only the end of a removal is left, or what somebody else has put there. */
export function restsIn(dir: LocalDir): string[] {
  const names = new Set(namesIn(dir));
  return directoriesIn(dir).filter((name) => !names.has(name));
}

const holdsState = ({ branches }: LocalDir, name: string): boolean =>
  ['local.json', resetNote].some(
    (file) => lstatSync(join(branches, name, file), { throwIfNoEntry: false })?.isFile() === true,
  );

function directoriesIn({ branches }: LocalDir): string[] {
  if (lstatSync(branches, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(branches, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && nodeNamePattern.test(entry.name))
    .map(({ name }) => name)
    .filter((name) => mayEnter(join(branches, name)))
    .toSorted();
}

/** What cannot be entered is somebody else's. */
function mayEnter(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const all = (dir: LocalDir): (BranchEntry | Damaged)[] =>
  directoriesIn(dir).flatMap((name) => findBranch(dir, name) ?? []);

/** By name, without those that are damaged: they do not keep the others from working. `list` and `status` name them. */
export const listBranches = (dir: LocalDir): BranchEntry[] =>
  all(dir).flatMap((one) => ('state' in one ? one : []));

/** Of `main` and the branches. */
export function listDamaged(dir: LocalDir): Damaged[] {
  const branches = all(dir).flatMap((one) => ('error' in one ? one : []));
  try {
    readState(dir);
    return branches;
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error;
    return [{ name: mainName, dir, error }, ...branches];
  }
}

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
  if (nodeNames(dir).includes(name)) return isNode(dir, name);
  const names = [...(existsSync(dir.state) ? [mainName] : []), ...nodeNames(dir), ...namesIn(dir)];
  return new ComputeError(
    'not_found',
    `there is no compute with the name ${JSON.stringify(name.slice(0, 100))} in ${dir.root}`,
    {
      hint:
        name === mainName
          ? `create it with: ${commandFor(dir, 'start')}${names.length === 0 ? '' : `; the names are: ${names.join(', ')}`}`
          : names.length === 0
            ? `create one with: ${commandFor(dir, 'create NAME')}`
            : `the names are: ${names.join(', ')}${otherwise}`,
    },
  );
}

/** For what only main and branches can do. */
export const isNode = (dir: LocalDir, name: string): ComputeError =>
  new ComputeError('usage', `"${name}" is a replica or static node, which has no data of its own`, {
    hint: `name main or a branch: ${commandFor(dir, 'list')}; a node is started with \`up --replica\` or \`up --at-lsn\``,
  });

/** Null also when it is damaged: branches do not need it. */
export function mainState(dir: LocalDir): LocalState | null {
  try {
    return readState(dir);
  } catch (error) {
    if (error instanceof ComputeError) return null;
    throw error;
  }
}

/** The place that a timeline is of; null when it is gone. */
export function placeOf(dir: LocalDir, branches: readonly BranchEntry[], timelineId: string): Place | null {
  const main = mainState(dir);
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
  if (findBranch(dir, name) === null) return;
  throw new ComputeError('usage', `"${name}" is the name of a branch`, {
    hint: 'choose another name with --name',
  });
}
