import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ComputeError } from '../../core/errors.ts';
import { type Droppable, objectText } from './change.ts';

/** Asks on the terminal before data is dropped; the question goes to stderr.
 *  @throws ComputeError `usage` when there is no terminal */
export async function confirmed(drop: readonly Droppable[]): Promise<boolean> {
  const what = drop.map((one) => objectText({ ...one, database: null })).join(', ');
  if (!process.stdin.isTTY)
    throw new ComputeError('usage', `--prune would drop ${what}, but cannot ask: stdin is not a terminal`, {
      hint: 'confirm with --yes; without --prune nothing is dropped',
    });
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    lines.setPrompt(`Drop ${what}, with all data? Type yes: `);
    lines.prompt();
    const answer = once(lines, 'line') as Promise<[string]>;
    const [line] = await Promise.race([answer, once(lines, 'close').then(() => [''])]);
    return line?.trim().toLowerCase() === 'yes';
  } finally {
    lines.close();
  }
}
