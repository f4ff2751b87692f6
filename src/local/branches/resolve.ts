import { computeState, mainName } from '../names.ts';
import { nodeDir, nodeNames } from '../nodes.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { type Called, calledBranch, calledMain } from '../status/called.ts';
import { findBranch, missing, readBranch } from './tree.ts';

/** The state of one compute: user, password and ports to reach it.
 *  @param name null: the primary of the main compute, also after a promotion; of a branch it is the primary, too
 *  @throws ComputeError `conflict` when there has been no `up`; `not_found` with the names that exist */
export function stateNamed(dir: LocalDir, name: string | null): LocalState {
  if (name === null || name === mainName || nodeNames(dir).includes(name)) return computeState(dir, name);
  const found = readBranch(dir, name);
  if (found === null) throw missing(dir, name, '; without a name it is the primary');
  // A branch may have replicas of its own, of which one was promoted.
  return computeState(found.dir, null);
}

/** The directory of one compute, also of one that is damaged. @throws ComputeError `not_found` with the names that exist */
export function dirNamed(dir: LocalDir, name: string | null): LocalDir {
  if (name === null || name === mainName) return dir;
  if (nodeNames(dir).includes(name)) return nodeDir(dir, name);
  const found = findBranch(dir, name);
  if (found === null) throw missing(dir, name, '; without a name it is the primary');
  return found.dir;
}

/** The same, with the nodes of the main compute being part of it. */
export const homeNamed = (dir: LocalDir, name: string | null): LocalDir =>
  name !== null && nodeNames(dir).includes(name) ? dir : dirNamed(dir, name);

/** How that is called in what `status` says. */
export function calledAs(dir: LocalDir, name: string | null): Called {
  const home = homeNamed(dir, name);
  return name === null || home === dir ? calledMain(dir) : calledBranch(dir, home, name);
}
