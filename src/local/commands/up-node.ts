import { mkdirSync, rmSync } from 'node:fs';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { computeChild, programDir } from '../children.ts';
import { getJson } from '../compute-api.ts';
import { keepRunning } from '../keeper.ts';
import { endLeftoverCompute } from '../leftovers.ts';
import { lockDir } from '../lock.ts';
import { type Node, type NodePorts, asState, nodeDir, readNode, writeNode } from '../nodes.ts';
import { choosePorts } from '../ports.ts';
import { prepareDirs } from '../prepare.ts';
import { writePidFile } from '../process-identity.ts';
import type { Report } from '../report.ts';
import { type LocalDir, type LocalState, connectionUrl, stateOf } from '../state.ts';
import { untilStopped } from '../until-stopped.ts';
import { toolsFor } from './storage.ts';
import type { UpOptions } from './up.ts';

export interface NodeOptions extends UpOptions {
  /** Null: one that says what it is. */
  readonly name: string | null;
  /** Null: a replica. */
  readonly atLsn: Lsn | null;
}

interface NodeContext {
  readonly dir: LocalDir;
  readonly options: NodeOptions;
  readonly report: Report;
  readonly log: Log;
}

/** Runs a replica, or a view of the past, on the storage of a running `up`, until a signal.
 *  @returns the exit code */
export function upNode(dir: LocalDir, options: NodeOptions, report: Report, log: Log): Promise<number> {
  const context = { dir, options, report, log };
  return untilStopped(report, 'Stopped.', async ({ stop, hurry }) => {
    const main = stateOf(dir);
    await needStorage(main, stop.signal);
    const tools = await toolsFor(dir, main, options, stop.signal);
    const name = options.name ?? (options.atLsn === null ? 'replica' : 'static');
    const own = nodeDir(dir, name);
    mkdirSync(own.root, { recursive: true, mode: 0o755 });
    const lock = await lockDir(own);
    try {
      await prepareDirs(own, tools.runAs, stop.signal);
      writePidFile(own.upPid, process.pid);
      await endLeftoverCompute(own, log, stop.signal);
      const node = await nodeFor(context, name);
      const state = asState(main, node);
      const { osUser, compactAtBytes } = options;
      const child = { dir: own, state, tools, osUser, compactAtBytes, report, programs: programDir(), hurry };
      const compute = computeChild(child, () => announce(node, state, own, report));
      await keepRunning(compute, stop.signal);
    } finally {
      for (const file of [own.upPid, own.computePid]) rmSync(file, { force: true });
      await lock.release();
    }
  });
}

async function needStorage({ ports, controlPlaneToken }: LocalState, signal: AbortSignal): Promise<void> {
  const url = `http://127.0.0.1:${ports.controlPlane}/status`;
  if ((await getJson(url, controlPlaneToken, signal)) !== null) return;
  throw new ComputeError('conflict', 'the storage does not run', { hint: 'start it with: compute-local up' });
}

/** Ports of an earlier run are kept. */
async function nodeFor({ dir, options }: NodeContext, name: string): Promise<Node> {
  const known = readNode(dir, name);
  const mode = options.atLsn === null ? 'replica' : { atLsn: formatLsn(options.atLsn) };
  const ports = known !== null && !options.newPorts ? known.ports : await freePorts();
  const node: Node = {
    version: 1,
    name,
    computeId: `compute-local-${name}`,
    mode,
    ports: {
      ...ports,
      ...(options.port === null ? {} : { postgres: options.port }),
      ...(options.httpPort === null ? {} : { externalHttp: options.httpPort }),
    },
  };
  writeNode(dir, node);
  return node;
}

async function freePorts(): Promise<NodePorts> {
  const { postgres, externalHttp, internalHttp } = await choosePorts();
  return { postgres, externalHttp, internalHttp };
}

function announce({ name, mode }: Node, state: LocalState, dir: LocalDir, report: Report): void {
  const url = connectionUrl(state);
  const http = `http://127.0.0.1:${state.ports.externalHttp}`;
  const what = mode === 'replica' ? 'Follows the primary' : `Shows the data as of ${mode.atLsn}`;
  const lines = [
    '',
    `  Postgres  ${url}`,
    `  HTTP API  ${http}`,
    `  Logs      ${dir.log}`,
    '',
    `${what}, read-only. Ctrl-C stops it.`,
  ];
  report.event('ready', { name, url, http, pid: process.pid }, lines.join('\n'));
}
