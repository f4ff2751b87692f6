import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { listensOn, ownUserListensOn } from '../../process/listens.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { type LocalDir, commandFor, stateOf } from '../state.ts';
import { isSuccess, limitedAnswer } from '../get-json.ts';
import { linkSecret } from './link.ts';

/** Asks the dashboard of a running `up`, as only who may read its local.json can.
 *  @returns what was answered; null for what is not JSON
 *  @throws ComputeError `conflict` when there is none; `deadline` */
export async function askUp(
  dir: LocalDir,
  path: string,
  limitMs: number,
  given: AbortSignal,
): Promise<{ readonly ok: boolean; readonly body: unknown }> {
  const state = stateOf(dir);
  const { dashboard: port = 0 } = state.ports;
  const up = readPidFile(dir.upPid);
  if (up === null)
    throw new ComputeError('conflict', 'the dashboard is served by compute-local up, which does not run', {
      hint: `start it with: ${commandFor(dir, 'up')}`,
    });
  // Another program may listen there, and gets no token of ours. After root was given up, the system only says whose it is.
  if (port === 0 || !(listensOn(up.pid, port) ?? ownUserListensOn(port)))
    throw new ComputeError('conflict', 'the compute-local up that runs serves no dashboard', {
      hint: `end it and start it again with: ${commandFor(dir, 'up --dashboard-port PORT')}`,
    });
  return withDeadline('the answer of compute-local up', limitMs, given, async (signal) => {
    const url = `http://127.0.0.1:${port}${path}`;
    const secret = linkSecret(state).reveal();
    const answer = await limitedAnswer(url, secret, signal, { method: 'POST' }).catch(() => null);
    signal.throwIfAborted();
    return { ok: answer !== null && isSuccess(answer), body: jsonOrNull(answer?.text ?? '') };
  });
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
