import { ComputeClient } from '../../client/external.ts';
import type { PromoteRequest } from '../../client/types.ts';
import { ComputeError, inline } from '../../core/errors.ts';
import { computeToken, getJson } from '../compute-api.ts';
import { asState, isRunning, primaryNode, readNode, setPrimaryNode } from '../nodes.ts';
import type { Report } from '../report.ts';
import { specFor } from '../roles.ts';
import { type LocalDir, type LocalState, connectionUrl, stateOf } from '../state.ts';
import type { StorageStatus } from '../storage/serve.ts';

const again = 'run it again: what is done already stays done';

/** Makes a running replica the primary; the compute that was it comes back as a replica. */
export async function promote(
  dir: LocalDir,
  name: string,
  report: Report,
  signal: AbortSignal,
): Promise<number> {
  const main = stateOf(dir);
  const node = readNode(dir, name);
  if (node === null || node.mode !== 'replica' || !isRunning(dir, node)) {
    throw new ComputeError('conflict', `there is no running replica ${name}`, {
      hint: 'start one with: compute-local up --replica',
    });
  }
  const before = primaryNode(dir);
  // Said first: whoever restarts the former primary must not make a primary of it again.
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

/** One that is gone already has said all it had to say. */
async function stopPrimary(state: LocalState, report: Report): Promise<void> {
  try {
    const { lsn } = await clientOf(state).terminate('immediate');
    report.event('terminated', { lsn }, `The primary ended at ${lsn}.`);
  } catch (error) {
    report.event('terminated', { lsn: null }, `The primary cannot be asked to stop: ${inline(error)}`);
  }
}

/** Everything that was acknowledged lies before it. */
async function endOfWal({ ports, controlPlaneToken }: LocalState, signal: AbortSignal): Promise<string> {
  const url = `http://127.0.0.1:${ports.controlPlane}/status`;
  const status = await getJson<StorageStatus>(url, controlPlaneToken, signal);
  if (status !== null) return status.end_lsn;
  throw new ComputeError('conflict', 'the storage does not answer', { hint: again });
}

const primarySpec = (dir: LocalDir, main: LocalState, computeId: string): PromoteRequest['spec'] =>
  (specFor(dir, main, computeId) as { spec: PromoteRequest['spec'] }).spec;

const clientOf = (state: LocalState): ComputeClient =>
  new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 600),
    retries: 0,
  });
