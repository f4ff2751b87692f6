import { hintOf, inline } from '../../core/errors.ts';
import { formatUrl } from '../../pg/libpq-write.ts';
import { type Listed, listAll } from '../branches/list.ts';
import { type BranchEntry, type Damaged, listBranches, listDamaged } from '../branches/tree.ts';
import { mainName } from '../names.ts';
import { readPhase } from '../phase.ts';
import { type LocalDir, type LocalState, readState } from '../state.ts';
import type { Tree, TreeNode } from './tree-model.ts';

/** All computes of a directory with storages of their own; null in the directory of a branch. Never throws. */
export function readTree(dir: LocalDir): Tree | null {
  try {
    const main = readState(dir);
    if (main?.branch !== undefined) return null;
    const states = new Map(listBranches(dir).map(({ name, state }): [string, LocalState] => [name, state]));
    if (main !== null) states.set(mainName, main);
    return { computes: treeOf(listAll(dir), states), error: null, damaged: listDamaged(dir).map(advice) };
  } catch (error) {
    return { computes: [], error: inline(error), damaged: [] };
  }
}

const advice = ({ error }: Damaged): string =>
  `${inline(error)}. What to do: ${hintOf(error) ?? 'look at its directory'}`;

/** Pure. @param all each one after its parent */
export function treeOf(all: readonly Listed[], states: ReadonlyMap<string, LocalState>): TreeNode[] {
  const depths = new Map<string, number>();
  return all.flatMap((one): TreeNode[] => {
    const state = states.get(one.name);
    const depth = one.parent === null ? 0 : (depths.get(one.parent) ?? -1) + 1;
    depths.set(one.name, depth);
    return state === undefined ? [] : [nodeOf(one, state, depth)];
  });
}

const nodeOf = (one: Listed, { user, database, front }: LocalState, depth: number): TreeNode => ({
  name: one.name,
  depth,
  state: one.state,
  parent: one.parent,
  parentLsn: one.parent_lsn,
  createdAt: one.created_at,
  expiresAt: one.expires_at,
  restorable:
    one.restorable === null
      ? null
      : {
          fromLsn: one.restorable.from_lsn,
          fromTime: one.restorable.from_time,
          toLsn: one.restorable.to_lsn,
        },
  storageBytes: one.storage_bytes,
  sharedBytes: one.shared_bytes,
  url: formatUrl({ user, host: '127.0.0.1', port: one.port, database }),
  sleeps: front === true,
});

/** Changes when the tree has changed in more than its sizes. Never throws. */
export function treeKey(dir: LocalDir): string {
  const phase = ({ dir: own }: Pick<BranchEntry, 'dir'>): string => readPhase(own.upPid)?.phase ?? '';
  try {
    const branches = listBranches(dir).map((one) => [one.name, phase(one), one.state.branch.expiresAt]);
    return JSON.stringify([phase({ dir }), branches, listDamaged(dir).map(({ name }) => name)]);
  } catch (error) {
    return inline(error);
  }
}
