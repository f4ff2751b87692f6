import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { endLeftovers } from '../leftovers.ts';
import { endNodes } from '../nodes.ts';
import { lockDir } from '../lock.ts';
import type { Report } from '../report.ts';
import { type LocalDir, readState } from '../state.ts';

/** Deletes the data permanently, with ports and passwords.
 *  @param sure do not ask for confirmation
 *  @throws ComputeError `conflict` while it runs, `usage` when there is no terminal for the question */
export async function reset(dir: LocalDir, sure: boolean, report: Report, log: Log): Promise<number> {
  if (!existsSync(dir.state) && !existsSync(dir.storage)) {
    report.event('reset', { removed: false }, `There is no data in ${dir.root}.`);
    return 0;
  }
  const lock = await lockDir(dir);
  try {
    if (!sure && !(await confirmed(dir))) {
      report.event('reset', { removed: false }, 'Nothing was deleted.');
      return 1;
    }
    await endLeftovers(dir, readState(dir), log, never);
    // The state last: without it the remaining files could not be identified.
    await endNodes(dir, report, never);
    for (const path of [
      dir.nodes,
      dir.primary,
      dir.pgdata,
      dir.storage,
      dir.run,
      dir.log,
      dir.upPid,
      dir.state,
    ])
      rmSync(path, { recursive: true, force: true });
    report.event('reset', { removed: true }, `Deleted all data in ${dir.root}.`);
    return 0;
  } finally {
    await lock.release();
  }
}

async function confirmed(dir: LocalDir): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new ComputeError(
      'usage',
      'reset deletes all data, but cannot ask for confirmation: stdin is not a terminal',
      {
        hint: 'confirm with --yes',
      },
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    lines.setPrompt(`Delete the database in ${dir.root} and all its data? Type yes: `);
    lines.prompt();
    const answer = once(lines, 'line') as Promise<[string]>;
    const [line] = await Promise.race([answer, once(lines, 'close').then(() => [''])]);
    return line?.trim().toLowerCase() === 'yes';
  } finally {
    lines.close();
  }
}
