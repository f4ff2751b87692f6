import { readPidFile } from '../process/pid-file.ts';
import { askRefresh } from './compute-api.ts';
import { type Accepted, readAccepted } from './desired/accepted.ts';
import { type Node, asState, isRunning, listNodes, nodeDir, primaryNode, readNode } from './nodes.ts';
import { type LocalRole, localSpec } from './spec.ts';
import type { LocalDir, LocalState } from './state.ts';
import type { Socket } from './storage/tools.ts';

interface SpecOptions {
  /** Makes the storage token of a primary that is about to start; left out: it runs already. */
  readonly startToken?: () => string;
  /** The disk is nearly full: transactions are read-only unless they ask for more. */
  readonly writesStopped?: boolean;
  /** What compute.json adds; left out: what was accepted last. */
  readonly wanted?: Accepted | null;
}

/** The spec of one of the computes on the storage: all but the primary are replicas or static. Null for an unknown id. */
export function specFor(
  dir: LocalDir,
  state: LocalState,
  computeId: string,
  {
    startToken = () => state.storageToken,
    writesStopped = false,
    wanted = readAccepted(dir),
  }: SpecOptions = {},
): unknown {
  const primary = primaryNode(dir);
  const spec = (of: LocalDir, as: LocalState, role: LocalRole): unknown =>
    localSpec(of, as, role, {
      token: role === 'primary' ? startToken() : as.storageToken,
      writesStopped,
      wanted,
    });
  if (computeId === state.computeId) {
    // A storage that was started on its own has computes without a front.
    const main = { ...state, front: state.front === true && readPidFile(dir.upPid) !== null };
    return spec(dir, main, primary === null ? 'primary' : 'replica');
  }
  const node = listNodes(dir).find((one) => one.computeId === computeId);
  if (node === undefined) return null;
  const role = node.name === primary ? 'primary' : node.mode;
  return spec(nodeDir(dir, node.name), asState(state, node), role);
}

const socketOf = (dir: LocalDir, { name, ports }: Node): Socket => ({
  dir: nodeDir(dir, name).run,
  port: ports.postgres,
});

const mainSocket = (dir: LocalDir, { ports }: LocalState): Socket => ({ dir: dir.run, port: ports.postgres });

const primaryOf = (dir: LocalDir): Node | null => {
  const name = primaryNode(dir);
  return name === null ? null : readNode(dir, name);
};

/** The address of the compute that writes to the storage. */
export function writerOf(dir: LocalDir, state: LocalState): Socket {
  const node = primaryOf(dir);
  return node === null ? mainSocket(dir, state) : socketOf(dir, node);
}

/** Asks compute_ctl of the compute that writes to fetch its spec again.
 *  @throws ComputeError `conflict` when it does not take the request */
export async function refreshWriter(dir: LocalDir, state: LocalState, signal: AbortSignal): Promise<void> {
  const { internalHttp } = (primaryOf(dir) ?? state).ports;
  await askRefresh(internalHttp, signal);
}

/** The computes that run as replicas, or were started as replicas. */
export function replicasOf(
  dir: LocalDir,
  state: LocalState,
): { name: string | null; server: Socket; pgdata: string }[] {
  const main = { name: null, server: mainSocket(dir, state), pgdata: dir.pgdata };
  const nodes = listNodes(dir)
    .filter((node) => node.mode === 'replica' && isRunning(dir, node))
    .map((node) => ({
      name: node.name,
      server: socketOf(dir, node),
      pgdata: nodeDir(dir, node.name).pgdata,
    }));
  return nodes.length === 0 ? [] : [main, ...nodes];
}
