import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { type OutboundAnswer, exchange } from '../../outbound/exchange.ts';
import { collect } from '../../outbound/http-get.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';

/** Where the state of an endpoint's file cache is saved. */
export interface SavedState {
  readonly url: string;
  readonly token: Secret;
  readonly env: NodeJS.ProcessEnv;
}

/** Of a compressed state: what the service accepts at most. */
const maxBytes = 100 * 1024 * 1024;
const limitMs = 300_000;

/** @param fromEndpoint whose state it is; null: this compute's own
 *  @throws ComputeError `spec_invalid` naming what the spec lacks */
export function savedState(
  { spec, tenantId, timelineId, endpointStorage: { addr, token } }: ResolvedSpec,
  fromEndpoint: string | null,
  env: NodeJS.ProcessEnv,
): SavedState {
  const endpoint = fromEndpoint ?? spec.endpoint_id;
  if (addr === null) throw missing('pspec.endpoint_storage_addr missing');
  if (token === null) throw missing('pspec.endpoint_storage_token missing');
  if (endpoint === null) throw missing('pspec.endpoint_id missing, other endpoint_id not provided');
  const parts = [tenantId, timelineId, checkedEndpoint(endpoint), 'lfc_state'];
  return { url: `http://${addr}/${parts.join('/')}`, token, env };
}

/** As one part of a path: with any other id, the token of this compute would be sent to another address.
 *  @throws ComputeError `bad_request` */
export function checkedEndpoint(id: string): string {
  if (/^[\w.~-]+$/.test(id) && !/^\.+$/.test(id)) return id;
  throw new ComputeError('bad_request', `${JSON.stringify(id)} cannot be the id of an endpoint`, {
    hint: 'letters, digits, dash, underscore and dot are allowed',
  });
}

/** @returns the compressed state; null when none was saved. @throws Error of the network or the service */
export const getState = ({ url, token, env }: SavedState, signal: AbortSignal): Promise<Buffer | null> =>
  withDeadline('the answer of the endpoint storage', limitMs, signal, (limited) =>
    exchange({ method: 'GET', url, headers: bearer(token), env, signal: limited }, async (answer) => {
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw new Error(`${answer.statusLine} querying endpoint storage`);
      return collect(answer.body, maxBytes, Number(answer.headers['content-length'] ?? 0));
    }),
  );

/** @throws Error of the network or the service */
export const putState = ({ url, token, env }: SavedState, body: Buffer, signal: AbortSignal): Promise<void> =>
  withDeadline('the answer of the endpoint storage', limitMs, signal, (limited) =>
    exchange({ method: 'PUT', url, headers: bearer(token), body, env, signal: limited }, accepted),
  );

async function accepted({ status, statusLine }: OutboundAnswer): Promise<void> {
  if (status !== 200) throw new Error(`request to endpoint storage failed: ${statusLine}`);
}

const bearer = (token: Secret): Record<string, string> => ({ authorization: `Bearer ${token.reveal()}` });

const missing = (what: string): ComputeError =>
  new ComputeError('spec_invalid', what, {
    hint: 'the control plane gives these fields to a compute whose file cache it saves',
  });
