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

/** Removes the data, for good. Ports and passwords go with it.
 *  @param sure do not ask
 *  @throws ComputeError `conflict` while it runs, `usage` when nobody can be asked */
export async function reset(dir: LocalDir, sure: boolean, report: Report, log: Log): Promise<number> {
  if (!existsSync(dir.state) && !existsSync(dir.storage)) {
    report.event('reset', { removed: false }, `There is nothing in ${dir.root}.`);
    return 0;
  }
  const lock = await lockDir(dir);
  try {
    if (!sure && !(await confirmed(dir))) {
      report.event('reset', { removed: false }, 'Nothing was removed.');
      return 1;
    }
    await endLeftovers(dir, readState(dir), log, never);
    // The state last: without it nobody would know what the rest belongs to.
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
    report.event('reset', { removed: true }, `Removed all data in ${dir.root}.`);
    return 0;
  } finally {
    await lock.release();
  }
}

async function confirmed(dir: LocalDir): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new ComputeError('usage', 'reset removes all data, and there is no terminal to ask on', {
      hint: 'say so with --yes',
    });
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    lines.setPrompt(`Remove the database in ${dir.root} and everything in it? Type yes: `);
    lines.prompt();
    const answer = once(lines, 'line') as Promise<[string]>;
    const [line] = await Promise.race([answer, once(lines, 'close').then(() => [''])]);
    return line?.trim().toLowerCase() === 'yes';
  } finally {
    lines.close();
  }
}
