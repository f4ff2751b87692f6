import { rmSync } from 'node:fs';
import { abortedBy } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { formatLsn } from '../../core/lsn.ts';
import { until } from '../../core/poll.ts';
import { refuseBranchName } from '../branches/tree.ts';
import { computeChild } from '../children.ts';
import { type Kept, keepRunning } from '../supervisor.ts';
import { endLeftoverCompute } from '../leftovers.ts';
import { ownDir } from '../../process/files.ts';
import { systemIdOf } from '../claim.ts';
import { lockDir } from '../lock.ts';
import { refuseNodeLinks } from '../own.ts';
import { refuseForeignPgdata } from '../pgdata.ts';
import { type Node, asState, nodeDir, readNode, writeNode } from '../nodes.ts';
import { primaryInForce, refuseMainName } from '../names.ts';
import { notingPhase } from '../phase.ts';
import { portsOfNode } from '../node-ports.ts';
import { PortHolds } from '../port-holds.ts';
import { prepareDirs } from '../prepare.ts';
import { writePidFile } from '../../process/pid-file.ts';
import { withReason } from '../reason.ts';
import type { Report } from '../report.ts';
import { type LocalDir, type LocalState, connectionUrl, stateOf } from '../state.ts';
import { writerOf } from '../roles.ts';
import { needStorage, storageStatusOf } from '../storage-api.ts';
import { withCompute } from '../storage/compute-link.ts';
import { forkPoint } from '../storage/fork.ts';
import { timelineDir } from '../storage/layout.ts';
import type { StorageStatus } from '../storage/storage-status.ts';
import type { Socket } from '../storage/tools.ts';
import { untilStopped } from '../until-stopped.ts';
import { storedLsn } from '../view-lsn.ts';
import { limitsOf, toolsFor } from './storage.ts';
import type { UpOptions } from './up.ts';

export interface NodeOptions extends UpOptions {
  /** Null: `replica` or `static`, according to the mode. */
  readonly name: string | null;
  /** As given; null: a replica. */
  readonly atLsn: string | null;
}

interface NodeContext {
  readonly dir: LocalDir;
  readonly options: NodeOptions;
  readonly report: Report;
  readonly log: Log;
}

/** Runs a replica or a static node on the storage of a running `up`, until a signal.
 *  @returns the exit code */
export function upNode(dir: LocalDir, options: NodeOptions, given: Report, log: Log): Promise<number> {
  const name = options.name ?? (options.atLsn === null ? 'replica' : 'static');
  const own = nodeDir(dir, name);
  const report = notingPhase(given, own.upPid);
  const context = { dir, options, report, log };
  return untilStopped(report, 'Stopped.', async ({ stop, escalate }) => {
    const main = stateOf(dir);
    refuseMainName(name);
    refuseBranchName(dir, name);
    refuseNodeLinks(own);
    const mode = await modeOf(context, name, stop.signal);
    const tools = await toolsFor(dir, main, options, stop.signal);
    refuseForeignPgdata(own, systemIdOf(dir, main));
    ownDir(own.root, 0o755);
    const lock = await lockDir(own, 'wait until that one has ended, or choose another name with --name');
    const holds = new PortHolds();
    try {
      prepareDirs(own);
      writePidFile(own.upPid, process.pid);
      await endLeftoverCompute(own, main, log, stop.signal);
      const node = await nodeFor(context, name, mode, holds);
      const state = asState(main, node);
      const { compactAtBytes } = options;
      const child = {
        dir: own,
        state,
        tools,
        compactAtBytes,
        diskLimits: limitsOf(options),
        report,
        escalate,
      };
      const compute = computeChild(child, () =>
        announce(node, state, own, { report, isPrimary: primaryInForce(dir)?.name === name }),
      );
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
      await keepRunning(caughtUp, stop.signal).catch((error: unknown) => {
        throw abortedBy(error, stop.signal) ? error : withReason(own, error);
      });
    } finally {
      for (const file of [own.upPid, own.computePid]) rmSync(file, { force: true });
      await holds.release();
      await lock.release();
    }
  });
}

/** What the node is to be. Nothing has been created yet when this throws. */
async function modeOf(
  { dir, options: { atLsn }, report }: NodeContext,
  name: string,
  signal: AbortSignal,
): Promise<Node['mode']> {
  const main = stateOf(dir);
  if (atLsn === null) {
    await needStorage(main, signal);
    return 'replica';
  }
  if (primaryInForce(dir)?.name === name)
    throw new ComputeError('conflict', `"${name}" is the primary, and cannot stay at an LSN`, {
      hint: 'choose another name with --name',
    });
  const storage = (): Promise<StorageStatus | null> => storageStatusOf(main, signal);
  const lsn = await storedLsn(atLsn, { storage, writer: writerOf(dir, main) }, report, signal);
  // The range may have gaps.
  forkPoint(timelineDir(dir.storage, main.tenantId, main.timelineId), { lsn });
  return { atLsn: formatLsn(lsn) };
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

async function nodeFor(
  { dir, options }: NodeContext,
  name: string,
  mode: Node['mode'],
  holds: PortHolds,
): Promise<Node> {
  const known = readNode(dir, name);
  const node: Node = {
    version: 1,
    name,
    computeId: `compute-local-${name}`,
    mode,
    listenAll: options.listenAll,
    ports: await portsOfNode(dir, name, known?.ports ?? null, options, holds),
  };
  writeNode(dir, node);
  return node;
}

function announce(
  { name, mode }: Node,
  state: LocalState,
  dir: LocalDir,
  { report, isPrimary }: { readonly report: Report; readonly isPrimary: boolean },
): void {
  const url = connectionUrl(state);
  const http = `http://127.0.0.1:${state.ports.externalHttp}`;
  const follows = isPrimary ? 'Is the primary since its promotion' : 'Follows the primary, read-only';
  const what = mode === 'replica' ? follows : `Shows the data at LSN ${mode.atLsn}, read-only`;
  const lines = [
    '',
    `  Postgres  ${url}`,
    `  HTTP API  ${http}`,
    `  Logs      ${dir.log}`,
    '',
    `${what}. Ctrl-C stops it.`,
  ];
  report.event('ready', { name, url, http, pid: process.pid }, lines.join('\n'));
}
