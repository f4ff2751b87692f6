import { ComputeError } from '../core/errors.ts';
import { readPidFile } from '../process/pid-file.ts';
import { type Node, asState, isRunning, nodeDir, nodeNames, primaryNode, readNode } from './nodes.ts';
import { type LocalDir, type LocalState, stateOf } from './state.ts';

/** The name of the compute that `up` starts without --replica and --at-lsn. */
export const mainName = 'main';

/** The node that is the primary, or becomes it with the next start; null: the main compute. A promotion counts until `up` has
 *  ended, since `up` makes the main compute the primary again.
 *  @throws ComputeError `config_unreadable` */
export function primaryInForce(dir: LocalDir): Node | null {
  const name = primaryNode(dir);
  const node = name === null ? null : readNode(dir, name);
  if (node === null) return null;
  return readPidFile(dir.upPid) !== null || isRunning(dir, node) ? node : null;
}

/** The state of one compute: user, password and ports to reach it.
 *  @param name null: the primary, also after a promotion
 *  @throws ComputeError `conflict` when there has been no `up`; `not_found` with the names that exist */
export function computeState(dir: LocalDir, name: string | null): LocalState {
  const main = stateOf(dir);
  if (name === mainName) return main;
  const node = name === null ? primaryInForce(dir) : readNode(dir, name);
  if (node !== null) return asState(main, node);
  if (name === null) return main;
  throw new ComputeError('not_found', `there is no compute with the name "${name}" in ${dir.root}`, {
    hint: `the names are: ${[mainName, ...nodeNames(dir)].join(', ')}; without --name it is the primary`,
  });
}

/** The directory of its Unix socket, which only the OS user can enter.
 *  @param name as for `computeState` */
export function socketOf(dir: LocalDir, name: string | null): string {
  const node = name === null ? (primaryInForce(dir)?.name ?? mainName) : name;
  return node === mainName ? dir.run : nodeDir(dir, node).run;
}

/** @throws ComputeError `usage` for a name that a new node cannot have */
export function refuseMainName(name: string): void {
  if (name !== mainName) return;
  throw new ComputeError('usage', `a replica or static node cannot have the name "${mainName}"`, {
    hint: `"${mainName}" is the compute that compute-local up starts by itself: choose another name with --name`,
  });
}
