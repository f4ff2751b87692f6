import { ComputeClient } from '../client/external.ts';
import { mintToken } from '../client/token.ts';
import type { ComputeStatus } from '../client/types.ts';
import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { poll } from '../core/poll.ts';
import type { LocalState } from './state.ts';

const requestMs = 2000;

/** A token for the local compute's HTTP API, valid for `seconds`. */
export const computeToken = (state: LocalState, seconds: number): string =>
  mintToken({
    key: { ...state.signingKey },
    kid: 'compute-local',
    for: { computeId: state.computeId },
    expiresInSeconds: seconds,
  });

/** The answer of compute_ctl's `GET /status`; null without an answer. */
export function computeStatus(state: LocalState, signal: AbortSignal): Promise<ComputeStatus | null> {
  const client = new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 60),
    timeoutMs: requestMs,
    retries: 0,
  });
  return orNull(client.status({ signal }), signal);
}

/** Asks a compute_ctl to fetch its spec again; it does so in the background.
 *  @throws ComputeError `conflict` */
export async function askRefresh(internalHttpPort: number, signal: AbortSignal): Promise<void> {
  const url = `http://127.0.0.1:${internalHttpPort}/refresh_configuration`;
  const status = await withDeadline('the answer', requestMs, signal, async (limited) => {
    const response = await fetch(url, { method: 'POST', signal: limited });
    await response.body?.cancel();
    return response.status;
  });
  if (status >= 300) throw new ComputeError('conflict', `POST ${url} was answered with status ${status}`);
}

/** Null instead of a failure, except when `signal` has aborted. */
async function orNull<T>(asked: Promise<T>, signal: AbortSignal): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

const pollMs = 100;

/** Waits until the compute is running.
 *  @throws ComputeError `postgres_start` with the reason it gives when it failed; `deadline` */
export async function untilRunning(
  state: LocalState,
  limitMs: number,
  signal: AbortSignal,
  everyMs = pollMs,
): Promise<void> {
  const look = async (limited: AbortSignal): Promise<true | null> => {
    const status = await computeStatus(state, limited);
    if (status?.status === 'failed') throw didNotStart(status);
    return status?.status === 'running' ? true : null;
  };
  if ((await poll(look, { everyMs, limitMs }, signal)) !== null) return;
  throw new ComputeError('deadline', `the compute did not start within ${limitMs / 1000} s`);
}

/** The compute's own reason, hint and code. */
function didNotStart({ error, failure }: ComputeStatus): ComputeError {
  // The last paragraph repeats hint and code.
  const reason = failure === undefined ? error : error?.split('\n\n').slice(0, -1).join('\n\n');
  return new ComputeError(
    failure?.code ?? 'postgres_start',
    `the compute did not start: ${reason ?? 'unknown error'}`,
    {
      ...(failure?.hint ? { hint: failure.hint } : {}),
    },
  );
}
