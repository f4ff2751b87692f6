import { randomUUID } from 'node:crypto';
import { ComputeClient } from '../../client/external.ts';
import { ComputeHttpError } from '../../client/http.ts';
import type { ComputeStatus, ConfigureRequest } from '../../client/types.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { askRefresh, computeStatus, computeToken, untilRunning } from '../compute-api.ts';
import { isRunning, listNodes, primaryNode } from '../nodes.ts';
import { specFor } from '../roles.ts';
import { type LocalDir, stateOf } from '../state.ts';
import { storageStatusOf } from '../storage-api.ts';
import type { Accepted } from './accepted.ts';
import type { Left } from './change.ts';
import type { Writer } from './running.ts';

const clientOf = ({ state }: Writer): ComputeClient =>
  new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 3600),
    retries: 0,
  });

const configureMs = 600_000;

/** Sends the compute a spec with what is wanted.
 *  @param drop what is dropped with it
 *  @throws ComputeError `catalog` with the compute's reason; then what was in force before is in force again */
export async function configure(
  dir: LocalDir,
  writer: Writer,
  { wanted, before, drop }: { wanted: Accepted; before: Accepted | null; drop: readonly Left[] },
  signal: AbortSignal,
): Promise<ComputeStatus> {
  const storage = await storageStatusOf(stateOf(dir), signal);
  const stopped = storage?.disk?.level === 'stop';
  const body = (accepted: Accepted | null): ConfigureRequest =>
    specFor(dir, stateOf(dir), writer.state.computeId, {
      writesStopped: stopped,
      wanted: accepted,
    }) as ConfigureRequest;
  const client = clientOf(writer);
  const call = { signal, timeoutMs: configureMs };
  try {
    return await client.configure(withDrops(body(wanted), drop), call);
  } catch (error) {
    signal.throwIfAborted();
    // A catalog pass that failed leaves the compute in that status, until a spec comes that can be applied.
    if ((await computeStatus(writer.state, signal))?.status === 'failed')
      await client.configure(body(before), call).catch(() => {});
    throw refused(error);
  }
}

function withDrops(body: ConfigureRequest, drop: readonly Left[]): ConfigureRequest {
  if (drop.length === 0) return body;
  const delta_operations = drop.map(({ kind, name }) => ({
    action: kind === 'database' ? 'delete_db' : 'delete_role',
    name,
  }));
  return { ...body, spec: { ...body.spec, delta_operations, operation_uuid: randomUUID() } };
}

function refused(error: unknown): ComputeError {
  if (!(error instanceof ComputeHttpError))
    return new ComputeError('conflict', 'the compute does not answer', {
      cause: error,
      hint: 'look at: compute-local status',
    });
  return new ComputeError('catalog', reasonIn(error.body).trim());
}

function reasonIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' ? error : body;
  } catch {
    return body;
  }
}

/** Asks the other computes on the storage to fetch their specs again. One that does not answer gets its own at its next start. */
export async function refreshOthers(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const primary = primaryNode(dir);
  const nodes = listNodes(dir).filter((node) => node.name !== primary && isRunning(dir, node));
  const ports = nodes.map(({ ports: own }) => own.internalHttp);
  if (primary !== null) ports.push(stateOf(dir).ports.internalHttp);
  await Promise.all(ports.map((port) => askRefresh(port, signal).catch(() => {})));
}

const restartMs = 600_000;

/** Ends the compute, which the program that keeps it starts again, and waits until it runs.
 *  @throws ComputeError `deadline`, `postgres_start` */
export async function restart(writer: Writer, signal: AbortSignal): Promise<void> {
  const before = await computeStatus(writer.state, signal);
  await clientOf(writer).terminate('immediate', { signal });
  await untilNew(writer, before?.start_time ?? null, signal);
}

async function untilNew(writer: Writer, before: string | null, signal: AbortSignal): Promise<void> {
  await poll(
    async (limited) => {
      const now = await computeStatus(writer.state, limited);
      return now !== null && now.start_time !== before ? true : null;
    },
    { everyMs: 50, limitMs: restartMs },
    signal,
  );
  await untilRunning(writer.state, restartMs, signal);
}

export const reasonOf = (error: unknown): { reason: string; hint: string | null } =>
  error instanceof ComputeError
    ? { reason: error.message, hint: error.hint ?? null }
    : { reason: explained(error), hint: null };
