import { ComputeError } from '../../core/errors.ts';
import { askYes } from '../ask-yes.ts';
import { type Droppable, objectText } from './change.ts';

/** Asks on the terminal before data is dropped; the question goes to stderr.
 *  @throws ComputeError `usage` when there is no terminal */
export async function confirmed(drop: readonly Droppable[]): Promise<boolean> {
  const what = drop.map((one) => objectText({ ...one, database: null })).join(', ');
  if (!process.stdin.isTTY)
    throw new ComputeError('usage', `--prune would drop ${what}, but cannot ask: stdin is not a terminal`, {
      hint: 'confirm with --yes; without --prune nothing is dropped',
    });
  return askYes(`Drop ${what}, with all data?`, process.stderr);
}
