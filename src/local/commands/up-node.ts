import { rmSync } from 'node:fs';
import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { until } from '../../core/poll.ts';
import { computeChild } from '../children.ts';
import { getJson } from '../compute-api.ts';
import { type Kept, keepRunning } from '../supervisor.ts';
import { endLeftoverCompute } from '../leftovers.ts';
import { ownDir } from '../../process/files.ts';
import { systemIdOf } from '../claim.ts';
import { lockDir } from '../lock.ts';
import { refuseNodeLinks } from '../own.ts';
import { refuseForeignPgdata } from '../pgdata.ts';
import { type Node, type NodePorts, asState, nodeDir, readNode, writeNode } from '../nodes.ts';
import { choosePorts } from '../ports.ts';
import { prepareDirs } from '../prepare.ts';
import { writePidFile } from '../../process/pid-file.ts';
import type { Report } from '../report.ts';
import { type LocalDir, type LocalState, connectionUrl, stateOf } from '../state.ts';
import { withCompute } from '../storage/compute-link.ts';
import type { StorageStatus } from '../storage/serve.ts';
import type { Socket } from '../storage/tools.ts';
import { untilStopped } from '../until-stopped.ts';
import { toolsFor } from './storage.ts';
import type { UpOptions } from './up.ts';

export interface NodeOptions extends UpOptions {
  /** Null: `replica` or `static`, according to the mode. */
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

/** Runs a replica or a static node on the storage of a running `up`, until a signal.
 *  @returns the exit code */
export function upNode(dir: LocalDir, options: NodeOptions, report: Report, log: Log): Promise<number> {
  const context = { dir, options, report, log };
  return untilStopped(report, 'Stopped.', async ({ stop, escalate }) => {
    const main = stateOf(dir);
    await needStorage(main, stop.signal);
    const tools = await toolsFor(dir, main, options, stop.signal);
    const name = options.name ?? (options.atLsn === null ? 'replica' : 'static');
    const own = nodeDir(dir, name);
    refuseNodeLinks(own);
    refuseForeignPgdata(own, systemIdOf(dir, main));
    ownDir(own.root, 0o755);
    const lock = await lockDir(own);
    try {
      prepareDirs(own);
      writePidFile(own.upPid, process.pid);
      await endLeftoverCompute(own, main, log, stop.signal);
      const node = await nodeFor(context, name);
      const state = asState(main, node);
      const { compactAtBytes } = options;
      const child = {
        dir: own,
        state,
        tools,
        compactAtBytes,
        report,
        escalate,
      };
      const compute = computeChild(child, () => announce(node, state, own, report));
      const caughtUp: Kept = {
        ...compute,
        async ready(process, signal) {
          await compute.ready(process, signal);
          await untilReplayed(
            { dir: own.run, port: state.ports.postgres },
            await wanted(node, main, signal),
            signal,
          );
        },
      };
      await keepRunning(caughtUp, stop.signal);
    } finally {
      for (const file of [own.upPid, own.computePid]) rmSync(file, { force: true });
      await lock.release();
    }
  });
}

async function needStorage(
  { ports, controlPlaneToken }: LocalState,
  signal: AbortSignal,
): Promise<StorageStatus> {
  const url = `http://127.0.0.1:${ports.controlPlane}/status`;
  const status = await getJson<StorageStatus>(url, controlPlaneToken, signal);
  if (status !== null) return status;
  throw new ComputeError('conflict', 'the storage is not running', {
    hint: 'start it with: compute-local up',
  });
}

/** The LSN that the node must reach: its own, or the primary's current one. */
async function wanted({ mode }: Node, main: LocalState, signal: AbortSignal): Promise<string> {
  return mode === 'replica' ? (await needStorage(main, signal)).end_lsn : mode.atLsn;
}

const replayMs = 600_000;

/** Waits for that LSN. PostgreSQL answers as soon as its data is consistent, which may be much earlier. */
async function untilReplayed(server: Socket, lsn: string, signal: AbortSignal): Promise<void> {
  const look = `select not pg_catalog.pg_is_in_recovery()
                    or pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_catalog.pg_lsn as done`;
  const what = `replaying up to ${lsn}`;
  await withDeadline(what, replayMs, signal, (limited) =>
    withCompute(server, limited, (pg) => {
      const replayed = async (): Promise<boolean> => {
        const { rows } = await pg.query<{ done: boolean | null }>(look, [lsn]);
        return rows[0]?.done === true;
      };
      return until(what, replayed, { everyMs: 50, limitMs: Infinity }, limited);
    }),
  );
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
    listenAll: options.listenAll,
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
  const what = mode === 'replica' ? 'Follows the primary' : `Shows the data at LSN ${mode.atLsn}`;
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
