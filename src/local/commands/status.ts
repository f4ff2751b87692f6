import { collectStatus } from '../status/collect.ts';
import { type StatusReport, states, statusSchema } from '../status/schema.ts';
import { paintFor, statusText } from '../status/text.ts';
import type { LocalDir } from '../state.ts';

/** As the reference lists them. */
const inOrder = Object.keys(statusSchema.entries) as (keyof StatusReport)[];

/** Prints what runs, and what is wrong with it.
 *  @returns the exit code of the state
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function status(dir: LocalDir, json: boolean): Promise<number> {
  const report = await collectStatus(dir);
  const { stdout, env } = process;
  const ordered = Object.fromEntries(inOrder.map((name) => [name, report[name]]));
  const text = json ? `${JSON.stringify(ordered)}\n` : statusText(report, paintFor(stdout, env), Date.now());
  stdout.write(text);
  return states[report.state].exit;
}
