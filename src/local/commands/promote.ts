import { ComputeClient } from '../../client/external.ts';
import type { PromoteRequest } from '../../client/types.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import { computeToken } from '../compute-api.ts';
import { type Node, asState, isRunning, listNodes, primaryNode, readNode, setPrimaryNode } from '../nodes.ts';
import { mainName } from '../names.ts';
import type { Report } from '../report.ts';
import { specFor } from '../roles.ts';
import { type LocalDir, type LocalState, commandFor, connectionUrl, stateOf } from '../state.ts';
import { needStorage } from '../storage-api.ts';
import { whileAwake } from '../wake.ts';

const again = 'run the command again: it continues where it stopped';

/** Makes a running replica the primary; the former primary becomes a replica. */
export async function promote(
  dir: LocalDir,
  name: string,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const node = readNode(dir, name);
  if (node === null || node.mode !== 'replica' || !isRunning(dir, node)) throw notPromotable(dir, name, node);
  const before = primaryNode(dir);
  const work = (): Promise<number> => take(dir, node, before, report, signal);
  return before === null ? whileAwake(dir, 'promote', signal, work) : work();
}

async function take(
  dir: LocalDir,
  node: Node,
  before: string | null,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const main = stateOf(dir);
  const { name } = node;
  // Written first, so that a restart of the former primary does not make it the primary again.
  setPrimaryNode(dir, name);
  const state = asState(main, node);
  if (before !== name) {
    const former = before === null ? main : asState(main, readNode(dir, before) ?? node);
    report.progress('Stopping the primary ...', '');
    await stopPrimary(former, report);
  }
  report.progress(`Promoting ${name} ...`, '');
  const body = { spec: primarySpec(dir, main, state.computeId), wal_flush_lsn: await endOfWal(main, signal) };
  const result = await clientOf(state).promote(body, { signal });
  if (result.status === 'failed')
    throw new ComputeError('conflict', `${name} was not promoted: ${result.error}`, { hint: again });
  const url = connectionUrl(state);
  report.event('promoted', { name, url, ...result }, `${name} is the primary: ${url}`);
  return 0;
}

function notPromotable(dir: LocalDir, name: string, node: Node | null): ComputeError {
  const running = listNodes(dir).filter((one) => one.mode === 'replica' && isRunning(dir, one));
  const start = commandFor(dir, `up --replica${name === 'replica' ? '' : ` --name ${name}`}`);
  const others = running.map((one) => commandFor(dir, `promote --name ${one.name}`)).join(' or ');
  if (name === mainName)
    return new ComputeError(
      'conflict',
      `"${mainName}" cannot be promoted: only replicas with another name can`,
      {
        hint: 'end compute-local up and start it again: it then makes the main compute the primary',
      },
    );
  const hint =
    others === ''
      ? `start it with: ${start}, and promote it while it runs`
      : `promote one that runs: ${others}`;
  if (node === null)
    return new ComputeError('conflict', `there is no replica with the name "${name}" to promote`, { hint });
  if (node.mode !== 'replica')
    return new ComputeError(
      'conflict',
      `"${name}" cannot be promoted: it is a static node, which stays at LSN ${node.mode.atLsn}`,
      { hint },
    );
  return new ComputeError('conflict', `the replica "${name}" cannot be promoted: it is not running`, {
    hint,
  });
}

/** Stops the primary. One that has already ended is not an error. */
async function stopPrimary(state: LocalState, report: Report): Promise<void> {
  try {
    const { lsn } = await clientOf(state).terminate('immediate');
    report.event('terminated', { lsn }, `The primary stopped at LSN ${lsn}.`);
  } catch (error) {
    report.event(
      'terminated',
      { lsn: null },
      `The primary does not answer the request to stop, and is taken as stopped: ${explained(error)}`,
    );
  }
}

/** The end of the stored WAL: every acknowledged commit is before it. */
const endOfWal = async (main: LocalState, signal: AbortSignal): Promise<string> =>
  (await needStorage(main, signal, again)).end_lsn;

const primarySpec = (dir: LocalDir, main: LocalState, computeId: string): PromoteRequest['spec'] =>
  (specFor(dir, main, computeId) as { spec: PromoteRequest['spec'] }).spec;

const clientOf = (state: LocalState): ComputeClient =>
  new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 600),
    retries: 0,
  });
