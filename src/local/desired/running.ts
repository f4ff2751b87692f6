import { primaryInForce } from '../names.ts';
import { asState, isRunning, listNodes, nodeDir, primaryNode } from '../nodes.ts';
import { type LocalDir, type LocalState, readState, stateOf } from '../state.ts';
import { isReady } from '../storage/compute-link.ts';
import type { Socket } from '../storage/tools.ts';

/** A compute: the one that writes, where nothing else is said. */
export interface Writer {
  readonly dir: LocalDir;
  /** With its own ports and id. */
  readonly state: LocalState;
  readonly socket: Socket;
}

/** The primary, also after a promotion; null when there has been no `up`. */
export function writerIn(dir: LocalDir): Writer | null {
  const main = readState(dir);
  if (main === null) return null;
  const node = primaryInForce(dir);
  const own = node === null ? dir : nodeDir(dir, node.name);
  const state = node === null ? main : asState(main, node);
  return { dir: own, state, socket: { dir: own.run, port: state.ports.postgres } };
}

/** The same while its Postgres accepts connections; null otherwise. */
export function runningWriter(dir: LocalDir): Writer | null {
  const writer = writerIn(dir);
  return writer !== null && isReady(writer.socket) ? writer : null;
}

/** The other computes on the storage that run. */
export function othersIn(dir: LocalDir): Writer[] {
  const main = stateOf(dir);
  const primary = primaryNode(dir);
  const nodes = listNodes(dir).filter((node) => node.name !== primary && isRunning(dir, node));
  return [
    ...(primary === null ? [] : [{ dir, state: main }]),
    ...nodes.map((node) => ({ dir: nodeDir(dir, node.name), state: asState(main, node) })),
  ].map((one) => ({ ...one, socket: { dir: one.dir.run, port: one.state.ports.postgres } }));
}
