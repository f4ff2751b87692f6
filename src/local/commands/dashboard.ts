import * as v from 'valibot';
import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import { askUp } from '../dashboard/ask-up.ts';
import { linksPath } from '../dashboard/link.ts';
import { type LocalDir, stateOf } from '../state.ts';

const requestMs = 5000;
const answer = v.object({ url: v.string() });

/** Prints a new link to the dashboard of a running `up`.
 *  @throws ComputeError `conflict` when there is none */
export async function dashboard(dir: LocalDir, json: boolean): Promise<number> {
  const { dashboard: port = 0 } = stateOf(dir).ports;
  const { body } = await askUp(dir, linksPath, requestMs, never);
  const found = v.safeParse(answer, body);
  if (!found.success)
    throw new ComputeError('conflict', `the dashboard on port ${port} is another compute-local's`, {
      hint: 'local.json was changed while compute-local up runs: end it and start it again',
    });
  const { url } = found.output;
  process.stdout.write(json ? `${JSON.stringify({ url })}\n` : `${url}\n`);
  return 0;
}
