import { collectStatus } from '../status/collect.ts';
import type { Called } from '../status/called.ts';
import { states } from '../status/schema.ts';
import { paintFor, statusJson, statusText } from '../status/text.ts';
import type { LocalDir } from '../state.ts';

/** Prints what runs, and what is wrong with it.
 *  @returns the exit code of the state
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function status(dir: LocalDir, called: Called, json: boolean): Promise<number> {
  const report = await collectStatus(dir, undefined, called);
  const { stdout, env } = process;
  const text = json
    ? statusJson(report)
    : statusText(report, paintFor(stdout, env), Date.now(), called.start);
  stdout.write(text);
  return states[report.state].exit;
}
