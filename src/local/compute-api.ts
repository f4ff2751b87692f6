import { sleep } from '../core/clock.ts';
import { ComputeError, messageOf } from '../core/errors.ts';
import type { LocalState } from './state.ts';

const requestMs = 2000;

/** A token for the HTTP API of the local compute, good for `seconds`. */
export async function computeToken(state: LocalState, seconds: number): Promise<string> {
  const { SignJWT, importJWK } = await import('jose');
  return new SignJWT({ compute_id: state.computeId })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'compute-local' })
    .setExpirationTime(`${seconds}s`)
    .sign(await importJWK({ ...state.signingKey }, 'EdDSA'));
}

export interface ComputeStatus {
  readonly status: string;
  readonly error: string | null;
}

/** What `GET /status` of compute_ctl says; null when it does not answer. */
export async function computeStatus(state: LocalState, signal: AbortSignal): Promise<ComputeStatus | null> {
  const token = await computeToken(state, 60);
  return getJson<ComputeStatus>(`http://127.0.0.1:${state.ports.externalHttp}/status`, token, signal);
}

/** Null on anything but a 200 with JSON. */
export async function getJson<T>(url: string, token: string, signal: AbortSignal): Promise<T | null> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]),
    });
    return response.ok ? ((await response.json()) as T) : null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

const pollMs = 100;

/** Waits until the compute runs.
 *  @throws ComputeError `postgres_start` with the reason it gives when it failed; `deadline` */
export async function untilRunning(state: LocalState, limitMs: number, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += pollMs) {
    const status = await computeStatus(state, signal);
    if (status?.status === 'running') return;
    if (status?.status === 'failed') {
      throw new ComputeError('postgres_start', `the compute could not start: ${messageOf(status.error)}`);
    }
    await sleep(pollMs, signal);
  }
  throw new ComputeError('deadline', `the compute was not running after ${limitMs / 1000} s`);
}
