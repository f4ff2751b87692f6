import { withDeadline } from '../core/clock.ts';
import { ComputeError, codeOf, inline } from '../core/errors.ts';
import type { RetryTrack } from '../core/retries.ts';
import { type Retry, retry } from '../core/retry.ts';
import type { Secret } from '../core/secret.ts';
import { type Parsed, parseControlPlane } from '../spec/parse.ts';
import type { ControlPlaneResponse } from '../spec/schema.ts';
import { httpGet } from '../outbound/http-get.ts';

export interface PullRequest {
  readonly baseUrl: string;
  readonly computeId: string;
  /** Milliseconds for one attempt. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** With proxies. */
  readonly env: NodeJS.ProcessEnv;
  readonly token: Secret;
  /** Called once for each attempt with `200 OK` or the like, `unknown` when there was no answer. */
  readonly onAttempt: (httpStatus: string) => void;
  /** Called for each failure that is tried again. */
  readonly onRetry?: (retry: Retry) => void;
  readonly track?: RetryTrack | undefined;
}

const attempts = 3;
const pauseMs = 100;
/** Of an answer. A spec of two megabytes is large. */
const maxBytes = 16 * 1024 * 1024;

/** The next attempt may succeed. */
class Temporary extends ComputeError {}

/** Asks the control plane for this compute's config. A retryable failure is tried three times in all.
 *  @throws ComputeError `control_plane`, cause: the last attempt's error; AbortError */
export async function pullConfig(pull: PullRequest): Promise<Parsed<ControlPlaneResponse>> {
  const retryable = (error: unknown): boolean => error instanceof Temporary;
  const options = { what: 'the pull of the config', attempts, pauseMs: () => pauseMs, retryable };
  try {
    const { onRetry = () => {}, track } = pull;
    return await retry(() => pullOnce(pull), { ...options, onRetry, track }, pull.signal);
  } catch (error) {
    throw error instanceof Temporary ? exhausted(error, pull) : error;
  }
}

async function pullOnce(pull: PullRequest): Promise<Parsed<ControlPlaneResponse>> {
  const { status, statusLine, body } = await ask(pull);
  if (status === 503) throw temporary('control plane is temporarily unavailable');
  if (status === 502) throw temporary('control plane request failed with 502');
  if (status !== 200) {
    const message = `unexpected control plane response status code: ${statusLine}`;
    throw new ComputeError('control_plane', message, { hint: `${hintFor(status)} (${asked(pull)})` });
  }
  const parsed = await parseControlPlane(body).catch((error: unknown) => {
    // Nobody can correct the JSON of another server.
    const cause = codeOf(error) === 'config_unreadable' ? new Error(inline(error)) : error;
    throw temporary('could not deserialize control plane response', cause);
  });
  if (parsed.value.status === 'attached' && parsed.value.spec === null) {
    throw new ComputeError('control_plane', 'compute is attached, but spec is empty', {
      hint: `the control plane must give an attached compute a spec: look for the fault there (${asked(pull)})`,
    });
  }
  return parsed;
}

/** What to do about an answer other than 200. */
function hintFor(status: number): string {
  if (status === 401 || status === 403)
    return 'the control plane refuses the token: check NEON_CONTROL_PLANE_TOKEN or --control-plane-token-file';
  if (status === 404)
    return 'the control plane does not know this compute: check --compute-id and --control-plane-uri';
  if (status >= 500) return 'the control plane failed: its own log says why; start again when it works';
  return 'check --control-plane-uri: another server may be at that address';
}

async function ask(pull: PullRequest): Promise<{ status: number; statusLine: string; body: string }> {
  const url = specUrl(pull.baseUrl, pull.computeId);
  const headers = { authorization: `Bearer ${pull.token.reveal()}` };
  let httpStatus = 'unknown';
  try {
    const answer = await withDeadline('the request', pull.timeoutMs, pull.signal, (signal) =>
      httpGet({ url, headers, maxBytes, signal, env: pull.env }),
    );
    httpStatus = answer.statusLine;
    return answer;
  } catch (error) {
    throw temporary(`could not reach the control plane at ${withoutLogin(url)}`, error);
  } finally {
    pull.onAttempt(httpStatus);
  }
}

/** The URL of a compute's spec. The id is escaped; slashes at the end of the base URL are ignored. */
export function specUrl(baseUrl: string, computeId: string): string {
  const url = new URL(baseUrl);
  const base = url.pathname.replace(/\/+$/, '');
  url.pathname = `${base}/compute/api/v2/computes/${encodeURIComponent(computeId)}/spec`;
  return url.href;
}

function withoutLogin(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}

const temporary = (message: string, cause?: unknown): Temporary =>
  new Temporary('control_plane', message, { cause });

const asked = ({ baseUrl, computeId }: PullRequest): string =>
  `asked: ${withoutLogin(specUrl(baseUrl, computeId))}`;

const exhausted = (cause: unknown, pull: PullRequest): ComputeError =>
  new ComputeError('control_plane', 'Exhausted all attempts to retrieve the config from the control plane', {
    cause,
    hint: `check --control-plane-uri, and whether the control plane runs and can be reached from this machine (${asked(pull)})`,
  });
