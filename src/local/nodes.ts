import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeNamePattern } from '../config/values.ts';
import { ComputeError } from '../core/errors.ts';
import { writeDurable } from '../process/files.ts';
import { endProcess, termThenKill } from '../process/end.ts';
import { readPidFile } from '../process/pid-file.ts';
import type { Report } from './report.ts';
import { type LocalDir, type LocalState, type Ports, localDir } from './state.ts';
import { readSmall } from '../process/regular-file.ts';

/** Another compute on the same storage, next to the one that `up` starts by itself. */
export interface Node {
  readonly version: 1;
  readonly name: string;
  readonly computeId: string;
  /** `atLsn`: the node always shows the data at that LSN. */
  readonly mode: 'replica' | { readonly atLsn: string };
  readonly ports: NodePorts;
  readonly listenAll?: boolean;
}

export type NodePorts = Pick<Ports, 'postgres' | 'externalHttp' | 'internalHttp'>;

/** The directory of one node. */
const nodeRoot = (dir: LocalDir, name: string): string => join(dir.nodes, name);

/** A node's directories, in the same form as the main compute's.
 *  @throws ComputeError `usage` when the path is too long for a socket */
export const nodeDir = (dir: LocalDir, name: string): LocalDir => ({
  ...localDir(nodeRoot(dir, name)),
  // Both use the same storage.
  storage: dir.storage,
  state: dir.state,
  storagePid: dir.storagePid,
});

const nodeFile = (dir: LocalDir, name: string): string => join(nodeRoot(dir, name), 'node.json');

export const writeNode = (dir: LocalDir, node: Node): void =>
  writeDurable(nodeFile(dir, node.name), `${JSON.stringify(node, null, 2)}\n`);

/** Null when there is no such node. @throws ComputeError `config_unreadable` */
export function readNode(dir: LocalDir, name: string): Node | null {
  const path = nodeFile(dir, name);
  if (!existsSync(path)) return null;
  try {
    const node = JSON.parse(readSmall(path)) as Node;
    if (node.version === 1) return node;
  } catch (cause) {
    throw new ComputeError('config_unreadable', `${path} cannot be read`, { cause });
  }
  throw new ComputeError('config_unreadable', `${path} was written by another version of compute-local`);
}

/** The names of the nodes that were started once, also of one whose description is damaged. */
export function nodeNames({ nodes }: LocalDir): string[] {
  if (lstatSync(nodes, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  const entries = readdirSync(nodes, { withFileTypes: true });
  return entries
    .filter(({ name }) => nodeNamePattern.test(name))
    .filter((entry) => entry.isDirectory() && existsSync(join(nodes, entry.name, 'node.json')))
    .map(({ name }) => name)
    .toSorted();
}

/** Without those whose description is damaged, so that they do not keep the others from working; `status` names them. */
export const listNodes = (dir: LocalDir): Node[] =>
  nodeNames(dir).flatMap((name) => {
    try {
      return readNode(dir, name) ?? [];
    } catch {
      return [];
    }
  });

export const isRunning = (dir: LocalDir, { name }: Node): boolean =>
  readPidFile(nodeDir(dir, name).upPid) !== null;

/** Longer than a stop of Postgres may take. */
const graceMs = 140_000;

/** Stops the programs that run nodes. They cannot run without the storage. */
export async function endNodes(dir: LocalDir, report: Report, signal: AbortSignal): Promise<void> {
  for (const name of nodeNames(dir)) await endNode(dir, name, report, signal);
}

/** Stops the program that runs a node. One that does not run is not an error. */
export async function endNode(
  dir: LocalDir,
  name: string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const running = readPidFile(nodeDir(dir, name).upPid);
  if (running === null) return;
  report.progress(`Stopping ${name} ...`, '');
  await endProcess(running, `compute-local up of ${name}`, termThenKill(graceMs), signal);
}

/** The state with which the node runs in place of the main compute. */
export const asState = (state: LocalState, { computeId, ports, listenAll = false }: Node): LocalState => ({
  ...state,
  computeId,
  listenAll,
  front: false,
  ports: { ...state.ports, ...ports },
});

/** Name of the node that is or will be the primary; null: the compute that `up` starts.
 *  @throws ComputeError `config_unreadable` */
export function primaryNode(dir: LocalDir): string | null {
  if (!existsSync(dir.primary)) return null;
  try {
    const { node } = JSON.parse(readSmall(dir.primary)) as { node?: unknown };
    if (typeof node === 'string') return node;
  } catch (cause) {
    throw damagedPrimary(dir, cause);
  }
  throw damagedPrimary(dir);
}

const damagedPrimary = ({ primary }: LocalDir, cause?: unknown): ComputeError =>
  new ComputeError('config_unreadable', `${primary}, which names the primary, cannot be read`, {
    cause,
    hint: 'end compute-local up and start it again: it then makes the main compute the primary',
  });

export function setPrimaryNode(dir: LocalDir, name: string | null): void {
  if (name === null) rmSync(dir.primary, { force: true });
  else writeDurable(dir.primary, `${JSON.stringify({ node: name })}\n`);
}
