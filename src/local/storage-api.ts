import * as v from 'valibot';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { getLimitedJson } from './get-json.ts';
import type { LocalState } from './state.ts';
import { type StorageStatus, storageStatusSchema } from './storage/storage-status.ts';

/** For commands that cannot go on without it. */
const requestMs = 10_000;

/** Asks the storage for its status, whatever that takes.
 *  @throws Error that says why there is none; also for the answer of another program on its port */
export async function askStorage(
  { ports, controlPlaneToken }: LocalState,
  signal: AbortSignal,
): Promise<StorageStatus> {
  const url = `http://127.0.0.1:${ports.controlPlane}/status`;
  const body = v.safeParse(storageStatusSchema, await getLimitedJson(url, controlPlaneToken, signal));
  if (body.success) return body.output;
  throw new Error(`the answer of ${url} is not that of a storage of this version`);
}

/** The same within 10 seconds; null instead of a failure. */
export async function storageStatusOf(state: LocalState, signal: AbortSignal): Promise<StorageStatus | null> {
  const work = (limited: AbortSignal): Promise<StorageStatus> => askStorage(state, limited);
  try {
    return await withDeadline('the answer of the storage', requestMs, signal, work);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

/** @throws ComputeError `conflict` when it does not answer */
export async function needStorage(
  state: LocalState,
  signal: AbortSignal,
  hint = 'start it with: compute-local up, and the --dir of this command',
): Promise<StorageStatus> {
  const status = await storageStatusOf(state, signal);
  if (status !== null) return status;
  throw new ComputeError('conflict', 'the storage is not running, or does not answer', { hint });
}

const claimed = v.object({ generation: v.number() });

/** The number for a compute that was made from copies of the storage's files: see storage/claim-generation.ts.
 *  @throws Error when the storage refuses it, or does not answer */
export async function claimGeneration(
  { ports, controlPlaneToken }: LocalState,
  { generation, end_lsn }: Pick<StorageStatus, 'generation' | 'end_lsn'>,
  signal: AbortSignal,
): Promise<number> {
  const url = `http://127.0.0.1:${ports.controlPlane}/generation`;
  const answer = await withDeadline('the answer of the storage', requestMs, signal, (limited) =>
    getLimitedJson(url, controlPlaneToken, limited, { generation, end_lsn }),
  );
  return v.parse(claimed, answer).generation;
}
