import * as v from 'valibot';
import { never } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { listensOn } from '../../process/listens.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { linkSecret, linksPath } from '../dashboard/link.ts';
import { type LocalDir, commandFor, stateOf } from '../state.ts';

const requestMs = 5000;
const answer = v.object({ url: v.string() });

/** Prints a new link to the dashboard of a running `up`.
 *  @throws ComputeError `conflict` when there is none */
export async function dashboard(dir: LocalDir, json: boolean): Promise<number> {
  const state = stateOf(dir);
  const { dashboard: port = 0 } = state.ports;
  const up = readPidFile(dir.upPid);
  if (up === null)
    throw new ComputeError('conflict', 'the dashboard is served by compute-local up, which does not run', {
      hint: `start it with: ${commandFor(dir, 'up')}`,
    });
  // Another program may listen there, and gets no token of ours. After root was given up, the system does not say.
  if (port === 0 || listensOn(up.pid, port) === false)
    throw new ComputeError('conflict', 'the compute-local up that runs serves no dashboard', {
      hint: `end it and start it again with: ${commandFor(dir, 'up --dashboard-port PORT')}`,
    });
  const url = await withDeadline('the answer of compute-local up', requestMs, never, async (signal) => {
    const asked = fetch(`http://127.0.0.1:${port}${linksPath}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${linkSecret(state).reveal()}` },
      redirect: 'error',
      signal,
    });
    const body = v.safeParse(answer, await asked.then((response) => response.json()).catch(() => null));
    signal.throwIfAborted();
    if (body.success) return body.output.url;
    throw new ComputeError('conflict', `the dashboard on port ${port} is another compute-local's`, {
      hint: 'local.json was changed while compute-local up runs: end it and start it again',
    });
  });
  process.stdout.write(json ? `${JSON.stringify({ url })}\n` : `${url}\n`);
  return 0;
}
