import { asState, listNodes, nodeDir, primaryNode } from './nodes.ts';
import { localSpec } from './spec.ts';
import type { LocalDir, LocalState } from './state.ts';

/** The spec of one of the computes on the storage: who is not the primary follows it. Null when it is none of them. */
export function specFor(dir: LocalDir, state: LocalState, computeId: string): unknown {
  const primary = primaryNode(dir);
  if (computeId === state.computeId) return localSpec(dir, state, primary === null ? 'primary' : 'replica');
  const node = listNodes(dir).find((one) => one.computeId === computeId);
  if (node === undefined) return null;
  const role = node.name === primary ? 'primary' : node.mode;
  return localSpec(nodeDir(dir, node.name), asState(state, node), role);
}
